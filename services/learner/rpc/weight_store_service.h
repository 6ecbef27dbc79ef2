// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/learner/client/piece_wire.h"
#include "services/learner/client/version_sender.h"
#include "services/learner/rpc/fan_out.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {

// The gRPC face of a VersionStore (proto/attnrl/v1/weight_store.proto is the manual). Any number of
// threads. Memory: VersionSender's.
class WeightStoreService final : public FetchService {
 public:
  // `versions` outlives the service. `bytes_per_second`: VersionSender's.
  explicit WeightStoreService(VersionStore& versions, uint64_t bytes_per_second = 0);

  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<grpc::ByteBuffer>* writer) override;

 private:
  // Who shall send it to the caller, as VersionSender takes it.
  std::vector<std::string> SourcesFor(const grpc::ServerContext& context,
                                      const v1::FetchVersionRequest& request);

  VersionStore& versions_;
  VersionSender sender_;
  FanOut fan_out_;
};

}  // namespace attnrl::learner
