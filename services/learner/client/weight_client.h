// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/version.h"
#include "common/rpc/security/security.h"
#include "services/learner/client/held_versions.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// Reads weight versions from the learner. Thread-safe. Memory: one version while Fetch runs.
//
//   auto client = ConnectWeightStore("unix:/tmp/x/learner.sock", options);
//   auto data = client->Fetch({3, digest}, nullptr, absl::Seconds(60));  // the bits of W(3)
class WeightClient {
 public:
  virtual ~WeightClient() = default;

  // The bits of one version, each chunk as the learner's manifest names it; that the whole has its
  // digest checks who makes a model of it. A broken stream is resumed where it broke, with
  // back-off, until nothing more has come for `deadline`: a large version on a slow network takes
  // its time. Blocks. NOT_FOUND: never published, or pruned. DATA_LOSS: damaged at the source or
  // twice on the way. DEADLINE_EXCEEDED names the version. CANCELLED after Cancel. `base`: a
  // version of the same model that the caller holds; of the other one only what differs is sent
  // then, where that is shorter. Null: none.
  virtual absl::StatusOr<std::shared_ptr<const VersionData>> Fetch(const Version& version,
                                                                   const VersionData* base,
                                                                   absl::Duration deadline) = 0;

  // Bytes of weights received so far, as they were sent. Any thread.
  virtual uint64_t received_bytes() const = 0;

  // Ends every call, now and later. For shutdown.
  virtual void Cancel() = 0;
};

struct WeightClientOptions {
  // Longest wait between two attempts.
  absl::Duration max_backoff = absl::Seconds(2);
  // Largest version accepted, in bytes: a bound for memory.
  uint64_t max_version_bytes = uint64_t{64} << 30;
  rpc::Security security = {};
  // Where what is fetched is held for others, who find it at this port of this host (RelayService).
  // The learner then may name another such process to fetch from; one that doesn't send, or not
  // what was asked for, costs another try elsewhere. Null: nothing is held.
  HeldVersions* held = nullptr;
  int serves_at = 0;
  // Shared with the other processes of this machine (HostFolder): of those that want a version one
  // fetches it, the others wait until it has had nothing new for twice their deadline, and map it.
  // Where it can't be used each has its own copy. Empty: none.
  std::string host_folder = {};
};

// A client for the WeightStore served at `address` ("unix:/path" or "host:port"). Doesn't connect
// yet: an unreachable learner is waited for by the calls.
absl::StatusOr<std::unique_ptr<WeightClient>> ConnectWeightStore(
    const std::string& address, const WeightClientOptions& options = {});

}  // namespace attnrl::learner
