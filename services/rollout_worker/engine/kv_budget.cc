// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/kv_budget.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/attention/paged/plan.h"
#include "common/base/status.h"
#include "services/rollout_worker/engine/kv_branch.h"

namespace attnrl::rollout {
namespace {

constexpr char kKey[] = "rollout.kv_cache_bytes";
// A prompt, a response to it, and what continues the response.
constexpr int64_t kLevels = 3;

std::string TakenBefore(const KvBudget& budget) {
  if (budget.reserved == 0) return "";
  return absl::StrCat(", of which weights and the workspace of a step take ", budget.reserved);
}

// What is left of a worker's part of the host's memory.
int64_t PartOfHost(const KvBudget& budget) {
  const int64_t part = budget.memory_limit / std::max<int64_t>(1, budget.workers);
  return std::max<int64_t>(0, std::min(part, budget.available) - budget.reserved);
}

}  // namespace

int64_t KvBlocks(int64_t slots, int64_t max_tokens) {
  return slots * KvBranch::MostBlocks(max_tokens, kLevels);
}

absl::StatusOr<int64_t> ChooseKvBlocks(const KvBudget& budget) {
  const int64_t least = KvBlocks(1, budget.max_tokens);
  const std::string needs =
      absl::StrCat("a sequence of ", budget.max_tokens, " tokens needs ", least, " blocks of ",
                   attention::kBlockTokens, " tokens, ", least * budget.block_bytes, " bytes");
  if (budget.bytes > 0) {
    const int64_t blocks = budget.bytes / budget.block_bytes;
    if (blocks < least) {
      return InputError(kKey, absl::StrCat(budget.bytes, " bytes are ", blocks, " blocks"), needs);
    }
    if (budget.available > 0 && budget.bytes > budget.available - budget.reserved) {
      return InputError(kKey, absl::StrCat(budget.bytes, " bytes"),
                        absl::StrCat("available are ", budget.available, TakenBefore(budget)));
    }
    if (budget.host && budget.available > 0 && budget.bytes > PartOfHost(budget)) {
      return InputError(
          kKey, absl::StrCat(budget.bytes, " bytes"),
          absl::StrCat(PartOfHost(budget), " are left of ", budget.memory_limit, " for ",
                       budget.workers, " workers", TakenBefore(budget), " each"));
    }
    return blocks;
  }
  int64_t blocks = KvBlocks(budget.slots, budget.max_tokens);
  if (budget.reserved > 0 && !budget.host) {
    const int64_t left = std::max<int64_t>(0, budget.available - budget.reserved);
    blocks = std::min(blocks, left / 10 * 9 / budget.block_bytes);
    if (blocks >= least) return blocks;
    return InputError(kKey,
                      absl::StrCat("the GPU has ", budget.available, " bytes free",
                                   TakenBefore(budget), "; the rest is ", blocks, " blocks"),
                      needs);
  }
  if (budget.memory_limit > 0 && budget.available > 0) {
    const int64_t room = std::min(budget.memory_limit / 2, budget.available / 4 * 3) /
                         std::max<int64_t>(1, budget.workers);
    blocks = std::min(blocks, std::min(room, PartOfHost(budget)) / budget.block_bytes);
  }
  if (blocks >= least) return blocks;
  return InputError(kKey,
                    absl::StrCat("half of the memory (", budget.memory_limit, " bytes, available ",
                                 budget.available, TakenBefore(budget), ") for ", budget.workers,
                                 " workers are ", blocks, " blocks each"),
                    needs);
}

}  // namespace attnrl::rollout
