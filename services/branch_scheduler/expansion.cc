// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/expansion.h"

#include "common/tree/branch_points.h"

namespace attnrl::scheduler {
namespace {

std::vector<tree::BranchPoint> ChoosePoints(const BranchingOptions& branching,
                                            const Response& response) {
  switch (branching.criterion) {
    case Criterion::kNone:
      return {};
    case Criterion::kEarliest: {
      const std::vector<tree::StepRange> steps(response.expansion.steps.begin(),
                                               response.expansion.steps.end());
      return tree::EarliestPoints(steps, branching.points);
    }
    case Criterion::kEntropy:
      return tree::EntropyPoints(response.initial->result.samples[0].entropy, branching.points);
  }
  return {};
}

}  // namespace

void Expand(const SchedulerOptions& options, const TextTools& text, const DataSet& data,
            Problem* problem) {
  const auto prompt_tokens = static_cast<uint32_t>(data.problems[problem->row].prompt_ids.size());
  for (Response& response : problem->responses) {
    Expansion& expansion = response.expansion;
    expansion = Expansion{};
    expansion.steps = text.steps(prompt_tokens, response.initial->result.samples[0].token_ids);
    if (problem->ungradable) continue;
    for (const tree::BranchPoint& point : ChoosePoints(options.branching, response)) {
      expansion.points.push_back(static_cast<uint32_t>(point.split));
      expansion.origins.emplace_back(tree::PointOriginName(point.origin));
    }
  }
}

}  // namespace attnrl::scheduler
