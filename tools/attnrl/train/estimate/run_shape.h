// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/model/files/config.h"

namespace attnrl::tools {

// What a run computes with, as far as config.json of model.path and the configuration say.
struct RunShape {
  model::ModelConfig model;
  model::DType dtype = model::DType::kFloat32;  // of model.dtype, or config.json's

  int64_t dtype_bytes() const { return dtype == model::DType::kBFloat16 ? 2 : 4; }
};

// Reads config.json and nothing else of the folder. InputError for what can't be computed with, and
// by rollout.max_prompt_tokens and max_response_tokens where they exceed the model's context.
absl::StatusOr<RunShape> ReadRunShape(const config::Config& config);

// "Qwen2, 1.78 B weights, bfloat16".
std::string ShapeText(const RunShape& shape);

// Memory that workers choose their KV caches in, in bytes; zeros: not known.
struct KvRoom {
  int64_t limit = 0;
  int64_t available = 0;
  int64_t workers = 1;  // that share it
  // Of a GPU: what weights and the workspace of a step take of it.
  int64_t reserved = 0;
  bool host = false;  // the memory is the machine's, where a worker counts these itself
};

// Bytes of the KV cache that a worker will choose; InputError by rollout.kv_cache_bytes where the
// longest sequence has no room.
absl::StatusOr<int64_t> KvBytes(const config::Rollout& rollout, const RunShape& shape,
                                const KvRoom& room);

}  // namespace attnrl::tools
