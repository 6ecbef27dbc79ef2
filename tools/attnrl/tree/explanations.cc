// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/explanations.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/config/config.h"
#include "common/data_set/problems.h"
#include "common/json/json.h"
#include "common/json/json_words.h"
#include "services/branch_scheduler/assemble.h"
#include "services/verifier/process/grader_pool.h"

namespace attnrl::tools {
namespace {

using nlohmann::json;
using Decode = std::function<std::string(const std::vector<int32_t>&)>;

// A leaf that is explained: where it stands, and its whole text.
struct Leaf {
  json* record;
  std::string text;
};

bool IsWrong(const json& leaf) {
  const json reward = leaf.value("reward", json());
  return reward.is_number() && reward.get<double>() <= 0;
}

// Continuations come behind the part of the response that they share.
std::vector<Leaf> WrongLeaves(json* problem, const Decode& decode) {
  std::vector<Leaf> leaves;
  for (json& response : problem->at("responses")) {
    const auto ids = response.at("token_ids").get<std::vector<int32_t>>();
    if (IsWrong(response)) leaves.push_back({&response, decode(ids)});
    if (!response.contains("branches")) continue;
    for (json& branch : response.at("branches")) {
      const auto split = branch.at("split").get<size_t>();
      for (json& child : branch.at("children")) {
        if (!IsWrong(child)) continue;
        std::vector<int32_t> whole(
            ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(std::min(split, ids.size())));
        const auto own = child.at("token_ids").get<std::vector<int32_t>>();
        whole.insert(whole.end(), own.begin(), own.end());
        leaves.push_back({&child, decode(whole)});
      }
    }
  }
  return leaves;
}

class RunExplanations final : public Explanations {
 public:
  RunExplanations(config::Config config, std::unique_ptr<verifier::GraderPool> pool)
      : config_(std::move(config)), pool_(std::move(pool)) {}

  absl::Status AddTo(json* problem, const Decode& decode) override {
    try {
      const json id = problem->value("problem_id", json());
      const std::optional<data_set::Problem> asked =
          Find(id.is_string() ? id.get<std::string>() : PrintJson(id),
               config::AtStep(config_, problem->value("batch", int64_t{0})).data);
      if (!asked) return absl::OkStatus();
      return Explain(*asked, WrongLeaves(problem, decode));
    } catch (const json::exception& error) {
      return absl::InvalidArgumentError(JsonWords(error));
    }
  }

 private:
  // nullopt where it isn't there, or the data set can't be read any more: that is no fault of the
  // run that is looked at.
  static std::optional<data_set::Problem> Find(const std::string& id, const config::Data& data) {
    std::optional<data_set::Problem> found;
    data_set::ReadProblems(data.train, scheduler::TrainingFields(data),
                           [&](data_set::Problem problem) -> absl::Status {
                             if (problem.id != id) return absl::OkStatus();
                             found = std::move(problem);
                             return absl::CancelledError();
                           })
        .IgnoreError();
    return found;
  }

  absl::Status Explain(const data_set::Problem& problem, const std::vector<Leaf>& leaves) {
    std::vector<verifier::GradeRequest> requests;
    for (const Leaf& leaf : leaves) {
      verifier::GradeRequest request = {
          "", leaf.text, problem.answers.texts,
          problem.grader.empty() ? config_.data.grader : problem.grader};
      request.explain = true;
      requests.push_back(std::move(request));
    }
    if (requests.empty()) return absl::OkStatus();
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<verifier::GradeResult> results,
                            pool_->Grade(requests));
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (!results[i].explanation.empty()) {
        (*leaves[i].record)["explanation"] = results[i].explanation;
      }
    }
    return absl::OkStatus();
  }

  const config::Config config_;
  const std::unique_ptr<verifier::GraderPool> pool_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Explanations>> Explanations::Open(const std::string& run_directory,
                                                                 const std::string& binary_folder) {
  ATTNRL_ASSIGN_OR_RETURN(config::Config config,
                          config::Load(run_directory + "/config.yaml", {}, {}));
  verifier::GraderPoolOptions options;
  options.binary = binary_folder + "/attnrl-grader";
  ATTNRL_ASSIGN_OR_RETURN(std::unique_ptr<verifier::GraderPool> pool,
                          verifier::GraderPool::Start(options));
  return std::make_unique<RunExplanations>(std::move(config), std::move(pool));
}

}  // namespace attnrl::tools
