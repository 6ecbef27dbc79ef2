// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/weight_store_service.h"

#include <string>
#include <utility>

#include "common/rpc/address.h"
#include "common/rpc/handler.h"

namespace attnrl::learner {
WeightStoreService::WeightStoreService(VersionStore& versions, uint64_t bytes_per_second)
    : versions_(versions), sender_(versions, bytes_per_second) {}

std::vector<std::string> WeightStoreService::SourcesFor(const grpc::ServerContext& context,
                                                        const v1::FetchVersionRequest& request) {
  const Version version = {request.version().number(), request.version().digest()};
  // What isn't there is for the sender to say.
  if (request.serves_at() == 0 || !request.chunks().empty() ||
      versions_.DigestOf(version.number) != version.digest)
    return {};
  const std::string address = rpc::AtPeer(context.peer(), request.serves_at());
  if (address.empty()) return {};
  return fan_out_.SourcesFor(version, address, {request.failed().begin(), request.failed().end()});
}

grpc::Status WeightStoreService::Fetch(grpc::ServerContext* context,
                                       const v1::FetchVersionRequest* request,
                                       grpc::ServerWriter<grpc::ByteBuffer>* writer) {
  return rpc::HandleStream(context, "WeightStore/Fetch", [&] {
    return sender_.Send(*context, *request, SourcesFor(*context, *request), *writer);
  });
}

}  // namespace attnrl::learner
