// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace attnrl::learner {

// Which rank a process is, and where rank 0 is met.
struct RankPlace {
  int rank = 0;
  int size = 1;
  std::string address = {};  // name or number of the host that listens
  int port = 0;
  bool agent = false;  // torchrun listens there, for all ranks; otherwise rank 0 does

  bool alone() const { return size == 1; }
};

// From RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT of the environment, PyTorch's names, and
// torchrun's TORCHELASTIC_USE_AGENT_STORE, which is "True" where its agent listens on the port.
// `ranks` is learner.ranks, which has to agree; 1 means whatever the environment says.
// Without WORLD_SIZE a process is alone. INVALID_ARGUMENT names the variable and what is allowed;
// so does an address beyond this machine without `allow_plaintext` (security.allow_plaintext),
// since ranks talk without encryption and trust whoever connects.
absl::StatusOr<RankPlace> ReadRankPlace(int64_t ranks, bool allow_plaintext);

// Whether `address` is where ranks of one machine meet: localhost or 127.0.0.1.
bool IsLoopback(const std::string& address);

}  // namespace attnrl::learner
