// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/rollout_worker/engine/engine.h"
#include "tools/attnrl/progress.h"
#include "tools/attnrl/sampling/model_flags.h"

namespace attnrl::tools {

// What is sampled: every prompt `samples` times. Sample s of prompt p draws its tokens by the key
// (seed, batch 0, position p, node s), so neither order nor batch size changes them.
struct SamplingJob {
  std::vector<std::vector<int32_t>> prompts = {};
  int64_t samples = 1;
  int64_t max_new_tokens = 0;  // cut to what the model's context leaves; 0: all of that
  rollout::SamplingParams sampling = {};
  uint64_t seed = 0;
  int64_t max_batch = 64;  // sequences decoded at once
  std::vector<int32_t> stop_ids = {};
  std::function<bool(const std::vector<int32_t>&)> stop_when = nullptr;
  bool scores = false;  // the engine can score steps (rollout::Request::score_delta)

  size_t size() const { return prompts.size() * static_cast<size_t>(samples); }
};

// Reads the weights of `flags.model` and starts an engine with room for `job`: `max_batch` slots,
// fewer where the job or half of the free memory ends before.
absl::StatusOr<std::unique_ptr<rollout::Engine>> StartEngine(const ModelFlags& flags,
                                                             const ModelFolder& folder,
                                                             const SamplingJob& job);

// Samples the whole job. `done` is called on this thread, in the order of prompts and then samples,
// with the index of each (prompt * samples + sample). The first error ends it. CANCELLED after
// Ctrl-C: what was handed to `done` until then is complete. Memory: at most 32 finished samples for
// each of the engine's slots.
absl::Status RunSampling(rollout::Engine& engine, const SamplingJob& job, int64_t context,
                         Progress& progress,
                         const std::function<absl::Status(size_t, rollout::Completion)>& done);

}  // namespace attnrl::tools
