// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {

// The gRPC face of a VersionStore (proto/attnrl/v1/weight_store.proto is the manual). Any number of
// threads; a Fetch holds the bits of its version in memory while it runs.
class WeightStoreService final : public v1::WeightStore::Service {
 public:
  // `versions` outlives the service.
  explicit WeightStoreService(VersionStore& versions) : versions_(versions) {}

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchVersionsRequest* request,
                     grpc::ServerWriter<v1::VersionAnnouncement>* writer) override;
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<v1::VersionPiece>* writer) override;

 private:
  VersionStore& versions_;
};

}  // namespace attnrl::learner
