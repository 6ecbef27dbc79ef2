// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/branch_scheduler/problem.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// An item's result as stored in the database (services/branch_scheduler/store/README.md,
// "Payload"). Everything but lease and item, which are columns. Floats keep their bits.
std::string EncodePayload(const ItemResult& result);

// DATA_LOSS when the bytes are not a payload.
absl::StatusOr<ItemResult> DecodePayload(std::string_view bytes);

// An item's grades, in the order of its samples.
std::string EncodeGrades(const std::vector<Grade>& grades);
absl::StatusOr<std::vector<Grade>> DecodeGrades(std::string_view bytes);

}  // namespace attnrl::scheduler
