// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/weight_store_service.h"

#include <string>
#include <utility>
#include <vector>

#include "common/rpc/address.h"
#include "common/rpc/handler.h"

namespace attnrl::learner {
namespace {

absl::Status CallerLeft() { return absl::CancelledError("the caller left"); }

}  // namespace

WeightStoreService::WeightStoreService(VersionStore& versions)
    : versions_(versions), sender_(versions) {}

std::string WeightStoreService::SourceFor(const grpc::ServerContext& context,
                                          const v1::FetchVersionRequest& request) {
  const Version version = {request.version().number(), request.version().digest()};
  // What isn't there is for the sender to say.
  if (request.serves_at() == 0 || versions_.DigestOf(version.number) != version.digest) return "";
  const std::string address = rpc::AtPeer(context.peer(), request.serves_at());
  if (address.empty()) return "";
  return fan_out_.SourceFor(version, address, {request.failed().begin(), request.failed().end()});
}

grpc::Status WeightStoreService::Fetch(grpc::ServerContext* context,
                                       const v1::FetchVersionRequest* request,
                                       grpc::ServerWriter<v1::VersionPiece>* writer) {
  return rpc::HandleStream(context, "WeightStore/Fetch", [&]() -> absl::Status {
    const std::string source = SourceFor(*context, *request);
    if (source.empty()) return sender_.Send(*request, *writer);
    v1::VersionPiece piece;
    piece.mutable_elsewhere()->set_address(source);
    return writer->Write(piece) ? absl::OkStatus() : CallerLeft();
  });
}

}  // namespace attnrl::learner
