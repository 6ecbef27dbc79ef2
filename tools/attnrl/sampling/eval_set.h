// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data_set/fields.h"
#include "tools/attnrl/sampling/accuracy.h"
#include "tools/attnrl/sampling/prompts.h"

namespace attnrl::tools {

// A data set to measure a model on (common/data_set/README.md).
struct EvalSet {
  std::string name;  // the file's stem
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::vector<std::string>> answers;
  std::vector<std::string> graders = {};  // a name of verifier::kGraders for each problem
};
// `grader` is that of problems which name none. InputError at file:line, and for a file without
// records.
absl::StatusOr<EvalSet> ReadEvalSet(const std::string& file, const data_set::FieldNames& names,
                                    const std::string& grader, PromptReader& reader);

// Counts of one set while it is measured.
struct EvalTally {
  explicit EvalTally(const EvalSet& set, int64_t samples_a_problem)
      : name(set.name), samples(samples_a_problem), correct(set.prompts.size(), 0) {}

  std::string name;
  int64_t samples;               // of each problem
  std::vector<int64_t> correct;  // right ones of each problem
  int64_t response_tokens = 0;
  int64_t truncated = 0;
  int64_t unverified = 0;  // the grader gave no verdict; counted as wrong
};

struct EvalResult {
  std::string name;
  int64_t problems = 0;
  int64_t samples = 0;  // of each problem; also the k of pass@k
  MeanAndError pass_at_1;
  MeanAndError pass_at_k;
  double response_tokens_mean = 0;
  double truncated_ratio = 0;
};
EvalResult Summarise(const EvalTally& tally);

// The file of `attnrl eval` (tools/attnrl/README.md, "Model tools"), and the same as a table for
// people.
nlohmann::ordered_json EvalJson(const std::vector<EvalResult>& results);
std::string EvalTable(const std::vector<EvalResult>& results);

}  // namespace attnrl::tools
