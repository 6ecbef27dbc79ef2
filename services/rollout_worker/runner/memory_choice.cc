// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/memory_choice.h"

#include <algorithm>

#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/engine/stepper.h"

namespace attnrl::rollout {

absl::StatusOr<MemoryChoice> ChooseMemory(const MemoryWish& wish, const RunnerOptions& runner,
                                          const model::ModelConfig& config,
                                          const device::DeviceMemory& memory) {
  const bool host = runner.device.is_cpu();
  KvBudget budget{.slots = wish.slots,
                  .max_tokens = wish.max_tokens,
                  .block_bytes = KvBlockBytes(runner, config),
                  .bytes = wish.kv_cache_bytes,
                  .memory_limit = memory.total,
                  .available = memory.free,
                  .workers = host ? std::max<int64_t>(1, wish.workers) : 1,
                  .host = host};
  absl::StatusOr<int64_t> blocks = absl::InternalError("not asked");
  for (int64_t versions = wish.resident_versions; versions > 0; --versions) {
    budget.reserved = (versions + (host ? 2 : 1)) * ResidentWeightBytes(runner, config) +
                      StepWorkspaceBytes(runner, config, StepperOptions().max_step_rows);
    blocks = ChooseKvBlocks(budget);
    if (blocks.ok()) return MemoryChoice{*blocks, static_cast<size_t>(versions)};
  }
  return blocks.status();
}

}  // namespace attnrl::rollout
