// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/statusor.h"
#include "common/model/files/config.h"
#include "common/model/files/json_file.h"

namespace attnrl::model {

// How config.json scales rotary positions: its "rope_parameters" or, in older files, its
// "rope_scaling", by the names and defaults of transformers. `positions` is the model's context.
// InputError by file and key for a kind other than default, linear, llama3 and yarn, for one that
// lacks a number, and for a part of the head alone.
absl::StatusOr<RopeScaling> ReadRopeScaling(const JsonFile& file, int64_t positions);

}  // namespace attnrl::model
