// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/decide/expansion.h"

#include <algorithm>

#include "common/tree/criteria/criterion.h"

namespace attnrl::scheduler {
namespace {

std::vector<tree::BranchPoint> PointsOf(const BranchingOptions& branching, const Response& response,
                                        const RandomKey& key) {
  const SampleResult& sample = response.initial->result.samples[0];
  return tree::ChoosePoints(
      branching.criterion,
      {.steps = response.expansion.steps, .fci = sample.fci, .entropy = sample.entropy, .key = key},
      {.count = branching.points,
       .quantile = branching.quantile,
       .min_distance = branching.min_distance,
       .choice = branching.choice,
       .fill = branching.fill});
}

bool Filtered(const AdaptiveOptions& adaptive, const Problem& problem,
              const tree::RunningMean& mean) {
  if (!Solved(problem)) return false;
  if (adaptive.drop_all_solved) return true;
  return adaptive.filter_solved && !tree::KeepSolved(*problem.solved_score, mean);
}

// Indices of the responses that branch, ascending.
std::vector<int64_t> Chosen(const SchedulerOptions& options, uint32_t batch,
                            const Problem& problem) {
  std::vector<bool> correct;
  for (const Response& response : problem.responses) {
    correct.push_back(response.initial->grades[0].correct);
  }
  const RandomKey key{
      .seed = options.seed, .purpose = kExpand, .batch = batch, .position = problem.position};
  return tree::ResponsesToExpand(correct, options.adaptive.expand, options.adaptive.rounding, key);
}

}  // namespace

bool Solved(const Problem& problem) {
  return std::all_of(problem.responses.begin(), problem.responses.end(),
                     [](const Response& response) { return response.initial->grades[0].correct; });
}

double SolvedScore(const Problem& problem) {
  std::vector<std::vector<float>> scores;
  for (const Response& response : problem.responses) {
    scores.push_back(response.initial->result.samples[0].fci);
  }
  return tree::AttentionMean(scores);
}

void Expand(const SchedulerOptions& options, const TextTools& text, const DataSet& data,
            uint32_t batch, const tree::RunningMean& mean, Problem* problem) {
  const auto prompt_tokens = static_cast<uint32_t>(data.problems[problem->row].prompt_ids.size());
  for (Response& response : problem->responses) {
    response.expansion = Expansion{};
    response.expansion.steps =
        text.steps(prompt_tokens, response.initial->result.samples[0].token_ids);
  }
  if (problem->ungradable) return;
  problem->filtered = Filtered(options.adaptive, *problem, mean);
  if (problem->filtered) return;
  for (const int64_t r : Chosen(options, batch, *problem)) {
    Response& response = problem->responses[static_cast<size_t>(r)];
    const RandomKey key{.seed = options.seed,
                        .purpose = kBranch,
                        .batch = batch,
                        .position = problem->position,
                        .node = static_cast<uint32_t>(r)};
    for (const tree::BranchPoint& point : PointsOf(options.branching, response, key)) {
      response.expansion.points.push_back(static_cast<uint32_t>(point.split));
      response.expansion.origins.emplace_back(WordOf(point.origin));
    }
  }
}

}  // namespace attnrl::scheduler
