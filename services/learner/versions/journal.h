// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::learner {

// RUN_DIR/weights/published.json: under which digest each number was published
// (services/learner/versions/README.md, "Format").
using Journal = std::map<uint32_t, std::string>;  // number -> digest

// DATA_LOSS: it isn't what WriteJournal wrote. NOT_FOUND and others: those of storage::ReadFile.
absl::StatusOr<Journal> ReadJournal(const std::string& path);

// Atomically, and of the newest 4,096 numbers alone: a learner never goes back further.
absl::Status WriteJournal(const std::string& path, const Journal& journal);

}  // namespace attnrl::learner
