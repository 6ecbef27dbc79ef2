// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/options.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace attnrl::scheduler {
namespace {

// A tree run that is allowed.
SchedulerOptions Trees() {
  SchedulerOptions options;
  options.branching.criterion = tree::Criterion::kFci;
  options.tree_advantages = true;
  options.stop_ids = {2};
  options.vocabulary = 50;
  return options;
}

SchedulerOptions Groups() {
  SchedulerOptions options = Trees();
  options.branching.criterion = tree::Criterion::kNone;
  options.tree_advantages = false;
  return options;
}

struct Rule {
  const char* message;  // empty: allowed
  std::function<void(SchedulerOptions&)> set;
};

TEST(SchedulerOptions, NamesTheKeyWhatItHasAndWhatIsAllowed) {
  using O = SchedulerOptions;
  const std::vector<Rule> rules = {
      {"", [](O&) {}},
      {"run.steps: 0 is out of range; 1 to 1073741824 is allowed", [](O& o) { o.steps = 0; }},
      {"", [](O& o) { o.steps = 1; }},
      {"", [](O& o) { o.steps = 1 << 30; }},
      {"run.steps: 1073741825 is out of range; 1 to 1073741824 is allowed",
       [](O& o) { o.steps = (1 << 30) + 1; }},
      {"run.max_empty_batches: 0 is out of range; 1 to 1073741824 is allowed",
       [](O& o) { o.max_empty_batches = 0; }},
      {"algorithm.sampling.batch_problems: 0 is out of range; 1 to 1048576 is allowed",
       [](O& o) { o.first.batch_problems = 0; }},
      {"", [](O& o) { o.first.batch_problems = 1 << 20; }},
      {"algorithm.sampling.batch_problems: 1048577 is out of range; 1 to 1048576 is allowed",
       [](O& o) { o.first.batch_problems = (1 << 20) + 1; }},
      {"", [](O& o) { o.adaptive.batch_min = o.adaptive.batch_max = 0; }},  // nobody reads them
      {"algorithm.sampling.batch_max: 0 is out of range; 1 to 1048576 is allowed",
       [](O& o) {
         o.adaptive.adaptive_batch = true;
         o.adaptive.batch_max = 0;
       }},
      {"algorithm.sampling.batch_min: 9 is out of range; 1 to 8 is allowed",
       [](O& o) {
         o.adaptive.adaptive_batch = true;
         o.adaptive.batch_min = 9;
         o.adaptive.batch_max = 8;
       }},
      {"algorithm.sampling.batch_min: 0 is out of range; 1 to 1024 is allowed",
       [](O& o) {
         o.adaptive.adaptive_batch = true;
         o.adaptive.batch_min = 0;
       }},
      {"algorithm.sampling.initial_responses: 0 is out of range; 1 to 2048 is allowed",
       [](O& o) { o.first.initial_responses = 0; }},
      {"", [](O& o) { o.first.initial_responses = 1; }},
      {"algorithm.sampling.initial_responses: 2049 is out of range; 1 to 2048 is allowed",
       [](O& o) { o.first.initial_responses = 2049; }},
      {"algorithm.sampling.initial_responses: 1 is out of range; 2 to 2048 is allowed",
       [](O& o) {
         o = Groups();
         o.first.initial_responses = 1;
       }},
      {"algorithm.branching.points: 0 is out of range; 1 to 64 is allowed",
       [](O& o) { o.branching.points = 0; }},
      {"algorithm.branching.points: 65 is out of range; 1 to 64 is allowed",
       [](O& o) { o.branching.points = 65; }},
      {"algorithm.branching.children: 0 is out of range; 1 to 64 is allowed",
       [](O& o) { o.branching.children = 0; }},
      {"",
       [](O& o) {
         o = Groups();
         o.branching.points = o.branching.children = 0;
       }},
      {"algorithm.advantages: does not fit the branching criterion; tree with a branching "
       "criterion, group with criterion none",
       [](O& o) { o.tree_advantages = false; }},
      {"algorithm.advantages: does not fit the branching criterion; tree with a branching "
       "criterion, group with criterion none",
       [](O& o) { o.branching.criterion = tree::Criterion::kNone; }},
      {"rollout.max_response_tokens: 0 is out of range; 1 to 298976 is allowed",
       [](O& o) { o.first.max_response_tokens = 0; }},
      {"", [](O& o) { o.first.max_response_tokens = 298'976; }},
      {"rollout.max_response_tokens: 298977 is out of range; 1 to 298976 is allowed",
       [](O& o) { o.first.max_response_tokens = 298'977; }},
      {"rollout.max_response_tokens: 298977 is out of range; 1 to 298976 is allowed",
       [](O& o) {
         o = Groups();
         o.later[3].max_response_tokens = 298'977;
       }},
      {"rollout.max_response_tokens: 8192 is out of range; 1 to 1 is allowed",
       [](O& o) { o.max_prompt_tokens = 299'999; }},
      {"rollout.max_prompt_tokens: 300000 is out of range; 1 to 299999 is allowed",
       [](O& o) { o.max_prompt_tokens = 300'000; }},
      {"",  // the result has 2,949,120 tokens
       [](O& o) {
         o.first.max_response_tokens = 65'536;
         o.branching.points = 15;
         o.branching.children = 3;
       }},
      {"algorithm.branching.points: 16 with 3 children each of 65536 tokens "
       "(rollout.max_response_tokens) make a result of 3145728; at most 3000000 tokens are allowed",
       [](O& o) {
         o.later[7].max_response_tokens = 65'536;
         o.branching.points = 16;
         o.branching.children = 3;
       }},
      {"",  // no continuations
       [](O& o) {
         o = Groups();
         o.first.max_response_tokens = 65'536;
         o.branching.points = o.branching.children = 64;
       }},
      {"rollout.temperature: responses would all be the same; a temperature above 0 is needed "
       "for training",
       [](O& o) { o.temperature = 0; }},
      {"rollout.temperature: responses would all be the same; a temperature above 0 is needed "
       "for training",
       [](O& o) { o.temperature = std::numeric_limits<float>::quiet_NaN(); }},
      {"rollout.top_p: truncated sampling can't be trained on; top_p 1 and top_k 0 are needed "
       "for training",
       [](O& o) { o.top_p = 0.99F; }},
      {"rollout.top_p: truncated sampling can't be trained on; top_p 1 and top_k 0 are needed "
       "for training",
       [](O& o) { o.top_k = 1; }},
      {"model.path: no end token; at least one is needed", [](O& o) { o.stop_ids.clear(); }},
  };
  for (const Rule& rule : rules) {
    SchedulerOptions options = Trees();
    rule.set(options);
    const absl::Status status = options.Validate();
    EXPECT_EQ(std::string(status.message()), rule.message);
    EXPECT_EQ(IsInputError(status), !status.ok());
  }
  EXPECT_EQ(Groups().Validate(), absl::OkStatus());
}

TEST(SchedulerOptions, AskForAsManySamplesAsAWholeBatchOfLeaves) {
  SchedulerOptions options = Trees();
  options.first.batch_problems = 10;
  options.first.initial_responses = 6;
  options.branching.points = 3;
  options.branching.children = 2;
  options.adaptive.batch_min = 4;
  options.adaptive.batch_max = 20;
  const tree::BatchSizing sizing = options.sizing(0);
  EXPECT_EQ(sizing.target, 10 * 6 * (1 + 3 * 2));
  EXPECT_EQ(sizing.first, 10);
  EXPECT_EQ(sizing.min, 4);
  EXPECT_EQ(sizing.max, 20);
  options.branching.criterion = tree::Criterion::kNone;
  EXPECT_EQ(options.sizing(0).target, 10 * 6) << "no continuations";
  EXPECT_FALSE(options.schedule().branching);
}

TEST(SchedulerOptions, ScoreAttentionWhereACriterionOrTheFilterReadsIt) {
  SchedulerOptions options = Trees();
  EXPECT_TRUE(options.scores_attention());
  options.branching.criterion = tree::Criterion::kEntropy;
  EXPECT_FALSE(options.scores_attention());
  options.adaptive.filter_solved = true;
  EXPECT_TRUE(options.scores_attention());
}

}  // namespace
}  // namespace attnrl::scheduler
