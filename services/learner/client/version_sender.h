// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/learner/client/piece_wire.h"
#include "services/learner/client/rate_limit.h"
#include "services/learner/versions/version_source.h"

namespace attnrl::learner {

class VersionDifference;

// Answers WeightStore.Fetch (proto/attnrl/v1/weight_store.proto is the manual) from a source, for
// the learner and for workers. Thread-safe; a call blocks until all is sent and keeps its version
// in memory, and where it sends differences the base. The differences of one pair of versions stay,
// at most as many bytes as one version has, but neither of the two.
class VersionSender {
 public:
  // `source` outlives this. `bytes_per_second`: of all calls together, at most; 0: no limit.
  // `patience`: how long a call waits for a version to begin, and for its next chunk.
  VersionSender(VersionSource& source, uint64_t bytes_per_second,
                absl::Duration patience = absl::Seconds(10));
  ~VersionSender();

  // `sources`: whom the caller is told to ask for the chunks, an empty address being this one;
  // none: they are sent.
  absl::Status Send(const grpc::ServerContext& context, const v1::FetchVersionRequest& request,
                    const std::vector<std::string>& sources,
                    grpc::ServerWriter<grpc::ByteBuffer>& writer);

 private:
  // `base` as differences of `version` refer to it; null where not all of it is here, which nobody
  // waits for, or where it is of another length.
  std::shared_ptr<const VersionData> Base(const Version& base, const VersionData& version);
  // The differences of `version` to `base`, one object for all who ask for these.
  std::shared_ptr<VersionDifference> DifferenceTo(std::shared_ptr<const VersionData> base,
                                                  std::shared_ptr<const VersionData> version);

  VersionSource& source_;
  const absl::Duration patience_;
  RateLimit limit_;
  absl::Mutex mutex_;
  // Those asked for last: workers of one run follow one version with the next.
  std::shared_ptr<VersionDifference> newest_ ABSL_GUARDED_BY(mutex_);
};

// The face of a process that serves what it has fetched, and nothing else of WeightStore.
class RelayService final : public FetchService {
 public:
  // As VersionSender's.
  explicit RelayService(VersionSource& source, uint64_t bytes_per_second = 0,
                        absl::Duration patience = absl::Seconds(10))
      : sender_(source, bytes_per_second, patience) {}
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<grpc::ByteBuffer>* writer) override;

 private:
  VersionSender sender_;
};

}  // namespace attnrl::learner
