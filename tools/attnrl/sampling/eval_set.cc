// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/eval_set.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/data_set/problems.h"
#include "services/verifier/types.h"

namespace attnrl::tools {
namespace {

// The unweighted means over the sets.
std::pair<double, double> Average(const std::vector<EvalResult>& results) {
  double pass_at_1 = 0;
  double pass_at_k = 0;
  for (const EvalResult& result : results) {
    pass_at_1 += result.pass_at_1.mean / static_cast<double>(results.size());
    pass_at_k += result.pass_at_k.mean / static_cast<double>(results.size());
  }
  return {pass_at_1, pass_at_k};
}

}  // namespace

absl::StatusOr<EvalSet> ReadEvalSet(const std::string& file, const data_set::FieldNames& names,
                                    const std::string& grader, PromptReader& reader) {
  EvalSet set;
  set.name = std::filesystem::path(file).stem().string();
  ATTNRL_RETURN_IF_ERROR(
      data_set::ReadProblems(file, names, [&](data_set::Problem problem) -> absl::Status {
        ATTNRL_ASSIGN_OR_RETURN(std::vector<int32_t> prompt,
                                reader.Read(problem.question, problem.where));
        const std::string& used = problem.grader.empty() ? grader : problem.grader;
        if (!verifier::IsGrader(used)) {
          return InputError(problem.where,
                            absl::StrCat("field \"grader\" holds \"", OneLine(used, 40), "\""),
                            absl::StrCat("graders are ", absl::StrJoin(verifier::kGraders, ", ")));
        }
        set.graders.push_back(used);
        set.prompts.push_back(std::move(prompt));
        set.answers.push_back(std::move(problem.answers.texts));
        return absl::OkStatus();
      }));
  return set;
}

EvalResult Summarise(const EvalTally& tally) {
  EvalResult result;
  result.name = tally.name;
  result.problems = static_cast<int64_t>(tally.correct.size());
  result.samples = tally.samples;
  std::vector<double> pass_at_1;
  std::vector<double> pass_at_k;
  for (const int64_t correct : tally.correct) {
    pass_at_1.push_back(static_cast<double>(correct) / static_cast<double>(tally.samples));
    pass_at_k.push_back(PassAtK(tally.samples, correct, tally.samples));
  }
  result.pass_at_1 = Summarise(pass_at_1);
  result.pass_at_k = Summarise(pass_at_k);
  const double responses = static_cast<double>(result.problems * result.samples);
  result.response_tokens_mean = static_cast<double>(tally.response_tokens) / responses;
  result.truncated_ratio = static_cast<double>(tally.truncated) / responses;
  return result;
}

nlohmann::ordered_json EvalJson(const std::vector<EvalResult>& results) {
  nlohmann::ordered_json json = {{"sets", nlohmann::ordered_json::object()}};
  for (const EvalResult& result : results) {
    json["sets"][result.name] = {{"problems", result.problems},
                                 {"samples", result.samples},
                                 {"pass@1", result.pass_at_1.mean},
                                 {"pass@1_se", result.pass_at_1.standard_error},
                                 {"pass@k", result.pass_at_k.mean},
                                 {"k", result.samples},
                                 {"response_tokens_mean", result.response_tokens_mean},
                                 {"truncated_ratio", result.truncated_ratio}};
  }
  const auto [pass_at_1, pass_at_k] = Average(results);
  json["average"] = {{"pass@1", pass_at_1}, {"pass@k", pass_at_k}};
  return json;
}

std::string EvalTable(const std::vector<EvalResult>& results) {
  std::string table = absl::StrFormat("%-16s %8s %7s  %-16s %-16s %8s %9s\n", "set", "problems",
                                      "samples", "pass@1", "pass@k", "tokens", "truncated");
  for (const EvalResult& result : results) {
    absl::StrAppendFormat(&table, "%-16s %8d %7d  %.4f +- %.4f %.4f +- %.4f  %8.1f %9.4f\n",
                          result.name, result.problems, result.samples, result.pass_at_1.mean,
                          result.pass_at_1.standard_error, result.pass_at_k.mean,
                          result.pass_at_k.standard_error, result.response_tokens_mean,
                          result.truncated_ratio);
  }
  const auto [pass_at_1, pass_at_k] = Average(results);
  absl::StrAppendFormat(&table, "%-16s %8s %7s  %-16.4f %.4f\n", "average", "", "", pass_at_1,
                        pass_at_k);
  return table;
}

}  // namespace attnrl::tools
