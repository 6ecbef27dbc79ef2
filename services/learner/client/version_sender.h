// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "services/learner/client/piece_wire.h"
#include "services/learner/client/rate_limit.h"
#include "services/learner/versions/version_source.h"

namespace attnrl::learner {

class VersionDifference;

// Answers WeightStore.Fetch (proto/attnrl/v1/weight_store.proto is the manual) from a source, for
// the learner and for workers. Thread-safe; a call blocks until all is sent and keeps its version
// in memory, and where it sends differences the base; differences of one pair of versions stay.
class VersionSender {
 public:
  // `source` outlives this. `bytes_per_second`: of all calls together, at most; 0: no limit.
  VersionSender(VersionSource& source, uint64_t bytes_per_second);
  ~VersionSender();

  // `elsewhere`: where the caller is told to ask for the chunks; empty: here.
  absl::Status Send(const grpc::ServerContext& context, const v1::FetchVersionRequest& request,
                    const std::string& elsewhere, grpc::ServerWriter<grpc::ByteBuffer>& writer);

 private:
  // The differences of `version` to `base`, one object for all who ask for these; null where the
  // base isn't here any more or is of another length.
  std::shared_ptr<VersionDifference> DifferenceTo(const Version& base, const SentVersion& version);

  VersionSource& source_;
  RateLimit limit_;
  absl::Mutex mutex_;
  // Those asked for last: workers of one run follow one version with the next.
  std::shared_ptr<VersionDifference> newest_ ABSL_GUARDED_BY(mutex_);
};

// The face of a process that serves what it has fetched, and nothing else of WeightStore.
class RelayService final : public FetchService {
 public:
  // As VersionSender's.
  explicit RelayService(VersionSource& source, uint64_t bytes_per_second = 0)
      : sender_(source, bytes_per_second) {}
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<grpc::ByteBuffer>* writer) override;

 private:
  VersionSender sender_;
};

}  // namespace attnrl::learner
