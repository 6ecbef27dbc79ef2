// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/estimate/run_shape.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/runner/memory_choice.h"
#include "services/rollout_worker/runner/runner.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

// A worker's slots hold the longest sequence that the configuration allows.
absl::Status CheckContext(const config::Rollout& rollout, const model::ModelConfig& shape) {
  const int64_t longest = rollout.max_prompt_tokens + rollout.max_response_tokens;
  if (longest <= shape.max_position_embeddings) return absl::OkStatus();
  return InputError("rollout.max_prompt_tokens, rollout.max_response_tokens",
                    absl::StrCat(rollout.max_prompt_tokens, " and ", rollout.max_response_tokens,
                                 " are ", longest, " tokens a sequence"),
                    absl::StrCat("the model's context is ", shape.max_position_embeddings));
}

}  // namespace

absl::StatusOr<RunShape> ReadRunShape(const config::Config& config) {
  RunShape shape;
  ATTNRL_ASSIGN_OR_RETURN(shape.model,
                          model::LoadModelConfig(config.model.path, config.model.dtype != "auto"));
  shape.dtype = shape.model.dtype;
  if (config.model.dtype != "auto") {
    ATTNRL_ASSIGN_OR_RETURN(shape.dtype, model::ParseDType(config.model.dtype, "model.dtype"));
  }
  ATTNRL_RETURN_IF_ERROR(CheckContext(config.rollout, shape.model));
  return shape;
}

std::string ShapeText(const RunShape& shape) {
  return absl::StrCat(std::string(WordOf(shape.model.architecture)), ", ",
                      FormatCount(model::CountParameters(shape.model)), " weights, ",
                      std::string(model::DTypeName(shape.dtype)));
}

absl::StatusOr<int64_t> KvBytes(const config::Rollout& rollout, const RunShape& shape,
                                const KvRoom& room) {
  rollout::RunnerOptions runner;
  runner.dtype = shape.dtype;
  runner.deterministic = rollout.deterministic;
  const int64_t block = rollout::KvBlockBytes(runner, shape.model);
  const int64_t longest = rollout.max_prompt_tokens + rollout.max_response_tokens;
  const int64_t workers = std::max<int64_t>(1, room.workers);
  if (room.host) {
    ATTNRL_ASSIGN_OR_RETURN(
        const rollout::MemoryChoice choice,
        rollout::ChooseMemory({.slots = rollout.slots,
                               .max_tokens = longest,
                               .kv_cache_bytes = rollout.kv_cache_bytes,
                               .resident_versions = rollout.resident_versions,
                               .workers = workers},
                              runner, shape.model, {.free = room.available, .total = room.limit}));
    return choice.blocks * block;
  }
  ATTNRL_ASSIGN_OR_RETURN(const int64_t blocks,
                          rollout::ChooseKvBlocks({.slots = rollout.slots,
                                                   .max_tokens = longest,
                                                   .block_bytes = block,
                                                   .bytes = rollout.kv_cache_bytes,
                                                   .memory_limit = room.limit,
                                                   .available = room.available,
                                                   .workers = workers,
                                                   .reserved = room.reserved}));
  return blocks * block;
}

}  // namespace attnrl::tools
