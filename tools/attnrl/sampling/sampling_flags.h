// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/command_line/command.h"
#include "tools/attnrl/sampling/sampling_run.h"

namespace attnrl::tools {

// The flags of `generate` and `eval` that say how tokens are drawn.
struct SamplingFlags {
  int64_t samples = 1;
  int64_t max_new_tokens = 0;  // 0: what the model's context leaves
  double temperature = 1;
  double top_p = 1;
  int64_t top_k = 0;
  uint64_t seed = 0;
  int64_t max_batch = 64;
};
void AddSamplingFlags(Command& command, SamplingFlags* flags);

// InputError naming the flag that is out of range.
absl::Status CheckSamplingFlags(const SamplingFlags& flags);

// A job with these settings and no prompts.
SamplingJob MakeJob(const SamplingFlags& flags);

}  // namespace attnrl::tools
