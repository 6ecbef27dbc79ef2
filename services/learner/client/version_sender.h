// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/sync_stream.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/versions/version_source.h"

namespace attnrl::learner {

class VersionDifference;

// Answers WeightStore.Fetch (proto/attnrl/v1/weight_store.proto is the manual) from a source, for
// the learner and for workers. Thread-safe; a call blocks until all is sent and keeps its version
// in memory, and where it sends differences the base; differences of one pair of versions stay.
class VersionSender {
 public:
  // `source` outlives this.
  explicit VersionSender(VersionSource& source);
  ~VersionSender();

  absl::Status Send(const v1::FetchVersionRequest& request,
                    grpc::ServerWriter<v1::VersionPiece>& writer);

 private:
  // The differences of `version` to `base`, one object for all who ask for these; null where the
  // base isn't here any more or is of another length.
  std::shared_ptr<VersionDifference> DifferenceTo(const Version& base, const SentVersion& version);

  VersionSource& source_;
  absl::Mutex mutex_;
  // Those asked for last: workers of one run follow one version with the next.
  std::shared_ptr<VersionDifference> newest_ ABSL_GUARDED_BY(mutex_);
};

// The face of a process that serves what it has fetched, and nothing else of WeightStore.
class RelayService final : public v1::WeightStore::Service {
 public:
  // `source` outlives this.
  explicit RelayService(VersionSource& source) : sender_(source) {}
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<v1::VersionPiece>* writer) override;

 private:
  VersionSender sender_;
};

}  // namespace attnrl::learner
