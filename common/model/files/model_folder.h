// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/model/files/config.h"

namespace attnrl::model {

// What a model folder has beside its weights, from `source_dir` into `dir`, which exists:
// config.json with its dtype set to `dtype`, and generation_config.json, the tokenizer's files and
// the chat template, where they exist.
absl::Status CopyModelFiles(const std::string& source_dir, const std::string& dir, DType dtype);

}  // namespace attnrl::model
