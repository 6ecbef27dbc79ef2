// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data_set/fields.h"

namespace attnrl::data_set {

// Problems of a training set that also stand in an evaluation set: what is measured on them says
// nothing about new ones.
struct Overlap {
  int64_t problems = 0;         // of the training set
  std::string training = {};    // "file:line" of the first one
  std::string evaluation = {};  // and where it stands in an evaluation set
};

// Compares the questions, white space aside (TextOf). Every file is read once more; the errors are
// those of reading it, and records without a question are passed over where `skip_bad` of the names
// says so. Memory: the questions of the evaluation sets.
absl::StatusOr<Overlap> FindOverlap(const std::string& training, const FieldNames& training_names,
                                    const std::vector<std::string>& evaluation,
                                    const FieldNames& evaluation_names);

}  // namespace attnrl::data_set
