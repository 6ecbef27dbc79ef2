// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "common/storage/jsonl.h"

namespace attnrl::data_set {

// Tests only: a record as it is read from the third line of in.jsonl. `text` must outlive it.
inline storage::JsonLine Record(const std::string& text) {
  return {nlohmann::json::parse(text), 3, "in.jsonl:3", 0, text};
}

inline std::string Message(const absl::Status& status) { return std::string(status.message()); }

}  // namespace attnrl::data_set
