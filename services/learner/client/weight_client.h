// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/version.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// Reads weight versions from the learner. Thread-safe: Watch usually runs in a thread of its own
// while another one fetches. Memory: one version while Fetch runs.
//
//   auto client = ConnectWeightStore("unix:/tmp/x/learner.sock", options);
//   std::thread watcher([&] { (void)client->Watch([&](const Version& v) { ...; return true; }); });
//   auto data = client->Fetch({3, digest}, absl::Seconds(60));  // checked bits of W(3)
//   client->Cancel();
//   watcher.join();
class WeightClient {
 public:
  virtual ~WeightClient() = default;

  // The bits of one version. Chunks are checked as they come, the whole against its digest: what is
  // returned is undamaged. A broken stream is resumed where it broke, with back-off, until
  // nothing more has come for `deadline`: a large version on a slow network takes its time. Blocks.
  // NOT_FOUND: never published, or pruned. DATA_LOSS: damaged at the source or twice on the way.
  // DEADLINE_EXCEEDED names the version. CANCELLED after Cancel.
  virtual absl::StatusOr<VersionData> Fetch(const Version& version, absl::Duration deadline) = 0;

  // Hands every version that is durable now to `announced`, ascending, then each new one as it
  // becomes durable; a lost connection is made again and starts over from all versions. Blocks
  // until `announced` returns false (OK) or Cancel is called (CANCELLED).
  virtual absl::Status Watch(const std::function<bool(const Version&)>& announced) = 0;

  // Ends every call, now and later. For shutdown.
  virtual void Cancel() = 0;
};

struct WeightClientOptions {
  // Longest wait between two attempts.
  absl::Duration max_backoff = absl::Seconds(2);
  // Largest version accepted, in bytes: a bound for memory.
  uint64_t max_version_bytes = uint64_t{64} << 30;
  bool allow_plaintext = false;
};

// A client for the WeightStore served at `address` ("unix:/path" or "host:port"). Doesn't connect
// yet: an unreachable learner is waited for by the calls.
absl::StatusOr<std::unique_ptr<WeightClient>> ConnectWeightStore(
    const std::string& address, const WeightClientOptions& options = {});

// Keeps versions in memory. For tests of whoever uses a WeightClient. Thread-safe.
class FakeWeightClient final : public WeightClient {
 public:
  // Makes `data` durable: it can be fetched and is announced. Fills in an empty digest.
  Version Publish(VersionData data);
  void Remove(uint32_t number);
  // The next `count` calls of Fetch fail with `status`.
  void FailFetches(int count, absl::Status status);

  absl::StatusOr<VersionData> Fetch(const Version& version, absl::Duration deadline) override;
  absl::Status Watch(const std::function<bool(const Version&)>& announced) override;
  void Cancel() override;

  int fetches() const;

 private:
  mutable absl::Mutex mutex_;
  std::map<uint32_t, VersionData> versions_ ABSL_GUARDED_BY(mutex_);
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  int fetches_ ABSL_GUARDED_BY(mutex_) = 0;
  int failures_left_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::learner
