// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/decide/outcome.h"

#include <cassert>
#include <utility>

#include "common/tree/advantages.h"
#include "services/branch_scheduler/item_id.h"

namespace attnrl::scheduler {
namespace {

double Penalty(const SchedulerOptions& options, uint32_t max_response_tokens, int64_t tokens) {
  if (options.overlong_buffer == 0) return 0;
  return tree::OverlongPenalty(tokens, max_response_tokens, options.overlong_buffer);
}

// The problem as the advantage functions see it: token counts and rewards.
tree::ProblemTree TreeOf(const SchedulerOptions& options, uint32_t max_response_tokens,
                         const Problem& problem) {
  tree::ProblemTree tree;
  for (const Response& response : problem.responses) {
    tree::Response node;
    node.tokens = static_cast<int64_t>(response.initial->result.samples[0].token_ids.size());
    node.reward = response.initial->grades[0].reward();
    node.penalty = Penalty(options, max_response_tokens, node.tokens);
    for (size_t p = 0; p < response.expansion.points.size(); ++p) {
      tree::Branch branch;
      branch.split = response.expansion.points[p];
      for (uint32_t c = 0; c < options.branching.children; ++c) {
        const size_t i = p * options.branching.children + c;
        const auto tokens =
            static_cast<int64_t>(response.continuation->result.samples[i].token_ids.size());
        branch.children.push_back(
            tree::Child{tokens, response.continuation->grades[i].reward(),
                        Penalty(options, max_response_tokens, branch.split + tokens)});
      }
      node.branches.push_back(std::move(branch));
    }
    tree.responses.push_back(std::move(node));
  }
  return tree;
}

std::vector<AdvantageRun> RunsOf(const tree::Leaf& leaf) {
  std::vector<AdvantageRun> runs;
  for (const tree::Segment& segment : leaf.segments) {
    runs.push_back(AdvantageRun{static_cast<uint32_t>(segment.length), segment.advantage});
  }
  return runs;
}

TrainingSample InitialSample(const DataProblem& row, const Problem& problem, uint32_t r,
                             uint32_t version) {
  const SampledItem& item = *problem.responses[r].initial;
  const SampleResult& result = item.result.samples[0];
  TrainingSample sample;
  sample.position = problem.position;
  sample.response = r;
  sample.node = result.node;
  sample.prompt_ids = row.prompt_ids;
  sample.response_ids = result.token_ids;
  sample.logprobs = result.logprobs;
  sample.versions = {
      VersionRun{static_cast<uint32_t>(result.token_ids.size()), version, /*continuation=*/false}};
  sample.reward = item.grades[0].reward();
  sample.truncated = result.finish == FinishReason::kLength;
  return sample;
}

// A continuation behind its prefix, which keeps the log-probs that were measured when it was
// sampled.
TrainingSample ChildSample(const TrainingSample& parent, const SampledItem& item, size_t index,
                           uint32_t split, uint32_t version) {
  const SampleResult& result = item.result.samples[index];
  TrainingSample sample = parent;
  sample.node = result.node;
  sample.response_ids.resize(split);
  sample.response_ids.insert(sample.response_ids.end(), result.token_ids.begin(),
                             result.token_ids.end());
  sample.logprobs.resize(split);
  sample.logprobs.insert(sample.logprobs.end(), result.logprobs.begin(), result.logprobs.end());
  const uint32_t initial_version = parent.versions[0].version;
  sample.versions.clear();
  if (split > 0) sample.versions.push_back(VersionRun{split, initial_version, false});
  sample.versions.push_back(
      VersionRun{static_cast<uint32_t>(result.token_ids.size()), version, /*continuation=*/true});
  sample.reward = item.grades[index].reward();
  sample.truncated = result.finish == FinishReason::kLength;
  return sample;
}

void CountInitials(const Problem& problem, TrainingBatch* batch) {
  for (const Response& response : problem.responses) {
    ++batch->graded_responses;
    batch->right_responses += response.initial->grades[0].correct ? 1 : 0;
  }
}

}  // namespace

std::string_view KeptName(Kept kept) {
  switch (kept) {
    case Kept::kAll:
      return "all";
    case Kept::kFiltered:
      return "filtered";
    case Kept::kZeroAdvantage:
      return "zero_advantage";
    case Kept::kUngradable:
      return "ungradable";
  }
  return "all";
}

ProblemOutcome Judge(const SchedulerOptions& options, uint32_t max_response_tokens,
                     const Problem& problem) {
  ProblemOutcome outcome;
  outcome.responses.resize(problem.responses.size());
  outcome.children.resize(problem.responses.size());
  for (size_t r = 0; r < problem.responses.size(); ++r) {
    outcome.children[r].resize(problem.responses[r].expansion.points.size() *
                               options.branching.children);
  }
  if (problem.ungradable) {
    outcome.kept = Kept::kUngradable;
    return outcome;
  }
  if (problem.filtered) {
    outcome.kept = Kept::kFiltered;
    return outcome;
  }
  const tree::ProblemTree tree = TreeOf(options, max_response_tokens, problem);
  const auto advantages = options.tree_advantages
                              ? tree::ComputeTreeAdvantages(tree, options.adaptive.train_unexpanded)
                              : tree::ComputeGroupAdvantages(tree, options.advantage_std);
  assert(advantages.ok());  // results were checked when they came
  outcome.samples = static_cast<uint32_t>(advantages->leaves.size());
  if (advantages->dropped) return outcome;
  outcome.kept = Kept::kAll;
  for (const tree::Leaf& leaf : advantages->leaves) {
    const auto r = static_cast<size_t>(leaf.response);
    if (!leaf.branch.has_value()) {
      outcome.responses[r] = RunsOf(leaf);
    } else {
      const auto index =
          static_cast<size_t>(*leaf.branch * options.branching.children + leaf.child.value_or(0));
      outcome.children[r][index] = RunsOf(leaf);
    }
  }
  return outcome;
}

std::vector<ProblemOutcome> JudgeAll(const SchedulerOptions& options, const BatchState& batch) {
  std::vector<ProblemOutcome> outcomes;
  outcomes.reserve(batch.problems.size());
  for (const Problem& problem : batch.problems)
    outcomes.push_back(Judge(options, batch.max_response_tokens, problem));
  return outcomes;
}

TrainingBatch MakeTrainingBatch(const SchedulerOptions& options, const DataSet& data,
                                const BatchState& batch,
                                const std::vector<ProblemOutcome>& outcomes,
                                VersionNumbers versions) {
  TrainingBatch made;
  made.batch = batch.number;
  made.base = batch.base;
  made.problems = static_cast<uint32_t>(batch.problems.size());
  made.last = batch.number + 1 == options.steps;
  for (size_t i = 0; i < batch.problems.size(); ++i) {
    const Problem& problem = batch.problems[i];
    const ProblemOutcome& outcome = outcomes[i];
    if (outcome.kept != Kept::kUngradable) CountInitials(problem, &made);
    if (outcome.kept != Kept::kAll) continue;
    for (uint32_t r = 0; r < problem.responses.size(); ++r) {
      if (outcome.responses[r].empty()) continue;
      TrainingSample sample =
          InitialSample(data.problems[problem.row], problem, r, versions.initial);
      sample.advantages = outcome.responses[r];
      made.samples.push_back(sample);
      const Response& response = problem.responses[r];
      for (size_t c = 0; c < outcome.children[r].size(); ++c) {
        const uint32_t split = response.expansion.points[c / options.branching.children];
        TrainingSample child =
            ChildSample(sample, *response.continuation, c, split, versions.continuation);
        child.advantages = outcome.children[r][c];
        made.samples.push_back(std::move(child));
      }
    }
  }
  return made;
}

}  // namespace attnrl::scheduler
