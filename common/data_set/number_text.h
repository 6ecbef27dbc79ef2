// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "common/storage/jsonl.h"

namespace attnrl::data_set {

// The digits of a number of the record as they were written, "0.50" or "12345678901234567890123":
// a double would print others, and an answer is what its author wrote. `path` leads to it, by keys
// of objects and by places in lists, from "0". The record's `text` must still be there. Where no
// number stands there it is the value as JSON prints it.
std::string NumberAsWritten(const storage::JsonLine& line, const std::vector<std::string>& path);

}  // namespace attnrl::data_set
