// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data_set/fields.h"
#include "common/data_set/question.h"

namespace attnrl::scheduler {

struct DataProblem {
  std::string id;
  std::vector<int32_t> prompt_ids;
  std::vector<std::string> answers;  // accepted ones; never leave scheduler and verifier
  std::string grader = {};           // empty: the run's
  std::string where = {};            // "file:line"; with names.skip_bad alone, for what is left out
};

// Problems that stand together in a DataSet.
struct DataPart {
  size_t first = 0;
  size_t size = 0;
  bool operator==(const DataPart&) const = default;
};

struct DataSet {
  std::vector<DataProblem> problems;
  std::string digest;   // hex SHA-256 of the file
  int64_t skipped = 0;  // records that were left out, with names.skip_bad
  // Of a run whose stages have sets of their own, by StageOptions::data; empty: all are one.
  std::vector<DataPart> parts = {};

  std::vector<DataPart> Parts() const;
};

// One set with each of these as a part, in their order; the digest is that of the first.
DataSet Join(std::vector<DataSet> sets);

// Token ids of a prompt, suffix and chat template applied.
using PromptEncoder =
    std::function<absl::StatusOr<std::vector<int32_t>>(const data_set::Question& question)>;

// Reads and tokenises a whole data set in any of the forms of common/data_set/README.md, whose
// fields have these names. InputError at file:line for the first record that is wrong or whose
// prompt has more than `max_prompt_tokens` tokens, and for a file without records; `key` names the
// setting ("data.train") of a file that can't be read. Memory: the tokens of all prompts.
absl::StatusOr<DataSet> LoadDataSet(const std::string& key, const std::string& path,
                                    const data_set::FieldNames& names, uint32_t max_prompt_tokens,
                                    const PromptEncoder& encode);

}  // namespace attnrl::scheduler
