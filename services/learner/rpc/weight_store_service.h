// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {

class VersionDifference;

// The gRPC face of a VersionStore (proto/attnrl/v1/weight_store.proto is the manual). Any number of
// threads; a Fetch holds the bits of its version in memory while it runs, and where it sends
// differences those of the base; differences of one pair of versions stay.
class WeightStoreService final : public v1::WeightStore::Service {
 public:
  // `versions` outlives the service.
  explicit WeightStoreService(VersionStore& versions);
  ~WeightStoreService() override;

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchVersionsRequest* request,
                     grpc::ServerWriter<v1::VersionAnnouncement>* writer) override;
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<v1::VersionPiece>* writer) override;

 private:
  // The differences of `version` to `base`, one object for all who ask for these; null where the
  // base isn't here any more or is of another length.
  std::shared_ptr<VersionDifference> DifferenceTo(const Version& base,
                                                  std::shared_ptr<const VersionData> version);
  absl::Status SendVersion(const v1::FetchVersionRequest& request,
                           grpc::ServerWriter<v1::VersionPiece>& writer);

  VersionStore& versions_;
  absl::Mutex mutex_;
  // Those asked for last: workers of one run follow one version with the next.
  std::shared_ptr<VersionDifference> newest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::learner
