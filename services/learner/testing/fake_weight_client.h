// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/learner/client/weight_client.h"

namespace attnrl::learner {

// Keeps versions in memory. For tests of whoever uses a WeightClient. Thread-safe.
class FakeWeightClient final : public WeightClient {
 public:
  // Makes `data` durable: it can be fetched. Fills in an empty digest.
  Version Publish(VersionData data);
  void Remove(uint32_t number);
  // The next `count` calls of Fetch fail with `status`.
  void FailFetches(int count, absl::Status status);

  absl::StatusOr<std::shared_ptr<const VersionData>> Fetch(const Version& version,
                                                           const VersionData* base,
                                                           absl::Duration deadline) override;
  uint64_t received_bytes() const override { return 0; }
  // What the last Fetch was given as its base; an empty digest: nothing.
  Version last_base() const;
  void Cancel() override;

  int fetches() const;

 private:
  mutable absl::Mutex mutex_;
  std::map<uint32_t, VersionData> versions_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  Version last_base_ ABSL_GUARDED_BY(mutex_);
  int fetches_ ABSL_GUARDED_BY(mutex_) = 0;
  int failures_left_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::learner
