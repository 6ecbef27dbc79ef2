// SPDX-License-Identifier: Apache-2.0
// Run: adaptive sampling, which looks beyond one problem.
#include "services/branch_scheduler/decide/expansion.h"
#include "services/branch_scheduler/run/run.h"

namespace attnrl::scheduler {

std::optional<double> Run::NextRealSize(pipeline::Place next) const {
  const std::optional<uint32_t> known = schedule_.NewestKnownBatch(next);
  if (!options_.adaptive.adaptive_batch || !known) return std::nullopt;
  // A stage of other trees or data begins as the run did: with B0, until one of its own batches is
  // known.
  if (const StageOptions& then = options_.At(*known), &now = options_.At(next.batch);
      then.batch_problems != now.batch_problems ||
      then.initial_responses != now.initial_responses || then.data != now.data) {
    return std::nullopt;
  }
  const tree::BatchSizing sizing = options_.sizing(next.batch);
  if (*known < known_.size()) {
    const Known& batch = known_[*known];
    return tree::NextBatchReal(last_real_size_, batch.problems, batch.valid, sizing);
  }
  // Its weights were announced, its commit has not come again since a restart: it is ready.
  const BatchState& batch = batches_.at(*known);
  const BatchFacts facts = FactsOf(options_, batch, JudgeAll(options_, batch));
  return tree::NextBatchReal(last_real_size_, static_cast<int64_t>(batch.problems.size()),
                             static_cast<int64_t>(facts.valid), sizing);
}

std::optional<tree::RunningMean> Run::SolvedMean(uint32_t batch) const {
  if (batch < known_.size()) return known_[batch].solved;
  tree::RunningMean mean = known_.empty() ? tree::RunningMean{} : known_.back().solved;
  for (uint32_t number = committed_; number <= batch; ++number) {
    const auto found = batches_.find(number);
    if (found == batches_.end() || !found->second.graded()) return std::nullopt;
    for (const Problem& problem : found->second.problems) {
      if (problem.solved_score) mean.Add(*problem.solved_score);
    }
  }
  return mean;
}

bool Run::Decide(const BatchState& batch, Problem& problem) const {
  if (!options_.branches()) {
    problem.decided = true;
    return true;
  }
  tree::RunningMean mean;
  if (options_.adaptive.filter_solved && problem.solved_score) {
    const std::optional<tree::RunningMean> known = SolvedMean(batch.number);
    if (!known) return false;
    mean = *known;
  }
  Expand(options_, text_, data_, batch.number, mean, &problem);
  problem.decided = true;
  return true;
}

void Run::CountTrees(const BatchState& batch, const std::vector<ProblemOutcome>& outcomes) {
  for (const ProblemOutcome& outcome : outcomes) ++trees_.problems[outcome.kept];
  for (const Problem& problem : batch.problems) {
    for (const Response& response : problem.responses) {
      ++(response.expansion.points.empty() ? trees_.unexpanded : trees_.expanded);
      for (const std::string& origin : response.expansion.origins) ++trees_.points[origin];
    }
  }
}

}  // namespace attnrl::scheduler
