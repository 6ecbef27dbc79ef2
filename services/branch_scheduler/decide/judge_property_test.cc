// SPDX-License-Identifier: Apache-2.0
// Judge and MakeTrainingBatch on random problems, against the definition leaf by leaf.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "common/base/philox.h"
#include "services/branch_scheduler/decide/outcome.h"

namespace attnrl::scheduler {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

constexpr uint32_t kChildren = 2;

// A leaf of a response: what it keeps of the original (a child), and its tokens.
struct Leaf {
  uint32_t response = 0;
  bool child = false;
  size_t kept = 0;
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  double reward = 0;
  uint32_t node = 0;
  bool truncated = false;
};

SampleResult RandomSample(RandomStream& random, uint32_t node) {
  SampleResult sample;
  sample.node = node;
  for (uint64_t i = random.Below(8) + 1; i > 0; --i) {
    sample.token_ids.push_back(static_cast<int32_t>(random.Below(100)));
    sample.logprobs.push_back(static_cast<float>(-random.Uniform()));
  }
  sample.entropy.assign(sample.token_ids.size(), 0);
  sample.finish = random.Below(2) == 0 ? FinishReason::kStop : FinishReason::kLength;
  return sample;
}

void AddSample(RandomStream& random, uint32_t node, SampledItem* item) {
  item->result.samples.push_back(RandomSample(random, node));
  item->grades.push_back(
      {.status = verifier::GradeStatus::kGraded, .correct = random.Below(2) == 0});
}

// Some responses are expanded, at points that may be equal and may be 0.
Problem RandomProblem(RandomStream& random, bool branching) {
  Problem problem;
  uint32_t node = 100;
  for (uint64_t r = random.Below(4) + 1; r > 0; --r) {
    Response response;
    response.initial.emplace();
    AddSample(random, node++, &*response.initial);
    const size_t tokens = response.initial->result.samples[0].token_ids.size();
    const uint64_t points = branching ? random.Below(4) : 0;
    if (points > 0) response.continuation.emplace();
    for (uint64_t p = 0; p < points; ++p) {
      response.expansion.points.push_back(static_cast<uint32_t>(random.Below(tokens)));
      for (uint32_t c = 0; c < kChildren; ++c) AddSample(random, node++, &*response.continuation);
    }
    problem.responses.push_back(response);
  }
  return problem;
}

// The leaves of a response: the original, then by point and child.
std::vector<Leaf> LeavesOf(const Problem& problem, uint32_t r) {
  const Response& response = problem.responses[r];
  const SampleResult& initial = response.initial->result.samples[0];
  std::vector<Leaf> leaves = {{r, false, initial.token_ids.size(), initial.token_ids,
                               initial.logprobs, response.initial->grades[0].correct ? 1.0 : 0.0,
                               initial.node, initial.finish == FinishReason::kLength}};
  size_t i = 0;
  for (const uint32_t point : response.expansion.points) {
    for (uint32_t c = 0; c < kChildren; ++c, ++i) {
      const SampleResult& sample = response.continuation->result.samples[i];
      Leaf leaf{r,           true,
                point,       {},
                {},          response.continuation->grades[i].correct ? 1.0 : 0.0,
                sample.node, sample.finish == FinishReason::kLength};
      for (size_t t = 0; t < point; ++t) {
        leaf.tokens.push_back(initial.token_ids[t]);
        leaf.logprobs.push_back(initial.logprobs[t]);
      }
      for (size_t t = 0; t < sample.token_ids.size(); ++t) {
        leaf.tokens.push_back(sample.token_ids[t]);
        leaf.logprobs.push_back(sample.logprobs[t]);
      }
      leaves.push_back(leaf);
    }
  }
  return leaves;
}

struct Value {
  double mean = 0, leaves = 0;
};

// Over the leaves that keep at least `end` tokens of the original.
Value Below(const std::vector<Leaf>& leaves, size_t end) {
  Value value;
  for (const Leaf& leaf : leaves) {
    if (leaf.kept < end) continue;
    value.mean += leaf.reward;
    value.leaves += 1;
  }
  value.mean /= value.leaves;
  return value;
}

// The advantage of each token of a leaf of an expanded response with these leaves.
std::vector<double> TreeAdvantage(const Leaf& leaf, const std::vector<Leaf>& siblings,
                                  const Value& root) {
  const auto advantage = [&](const Value& node, const Value& parent) {
    return ((node.mean - root.mean) + (node.mean - parent.mean)) / std::sqrt(node.leaves);
  };
  std::set<size_t> ends;
  for (const Leaf& sibling : siblings) ends.insert(sibling.kept);
  std::vector<double> tokens;
  Value parent = root;
  for (const size_t end : ends) {
    if (end > leaf.kept) break;
    const Value node = Below(siblings, end);
    tokens.resize(end, advantage(node, parent));
    parent = node;
  }
  tokens.resize(leaf.tokens.size(), advantage({leaf.reward, 1}, parent));
  return tokens;
}

std::vector<double> ByToken(const std::vector<AdvantageRun>& runs) {
  std::vector<double> tokens;
  for (const AdvantageRun& run : runs) tokens.insert(tokens.end(), run.tokens, run.advantage);
  return tokens;
}

// The samples of the problem, each with its advantages; empty where it is dropped.
std::vector<std::pair<Leaf, std::vector<double>>> Expected(const Problem& problem, bool tree) {
  std::vector<Leaf> all;
  std::set<double> rewards;
  std::vector<std::pair<Leaf, std::vector<double>>> samples;
  for (uint32_t r = 0; r < problem.responses.size(); ++r) {
    for (const Leaf& leaf : LeavesOf(problem, r)) all.push_back(leaf);
  }
  const Value root = Below(all, 0);
  double squares = 0;
  for (const Leaf& leaf : all) squares += (leaf.reward - root.mean) * (leaf.reward - root.mean);
  for (uint32_t r = 0; r < problem.responses.size(); ++r) {
    if (tree && problem.responses[r].expansion.points.empty()) continue;
    const std::vector<Leaf> leaves = LeavesOf(problem, r);
    for (const Leaf& leaf : leaves) {
      const double normalised =
          (leaf.reward - root.mean) / (std::sqrt(squares / (root.leaves - 1)) + 1e-6);
      samples.emplace_back(leaf, tree ? TreeAdvantage(leaf, leaves, root)
                                      : std::vector<double>(leaf.tokens.size(), normalised));
      rewards.insert(leaf.reward);
    }
  }
  if (rewards.size() < 2) samples.clear();
  return samples;
}

class JudgeTest : public ::testing::TestWithParam<bool> {};

TEST_P(JudgeTest, GivesTheLearnerWhatTheDefinitionSays) {
  SchedulerOptions options;
  options.branching.criterion = GetParam() ? tree::Criterion::kRandom : tree::Criterion::kNone;
  options.branching.children = kChildren;
  options.tree_advantages = GetParam();
  options.steps = 8;
  DataSet data;
  for (int32_t i = 0; i < 5; ++i) data.problems.push_back({"p", {i, 7}, {"1"}});
  size_t kept = 0, dropped = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream random({.seed = seed});
    BatchState batch;
    batch.number = 7;
    batch.base = 5;
    for (uint32_t position = 0; position < 4; ++position) {
      Problem problem = RandomProblem(random, GetParam());
      problem.position = position;
      problem.row = random.Below(5);
      batch.problems.push_back(problem);
    }
    const std::vector<ProblemOutcome> outcomes = JudgeAll(options, batch);
    const TrainingBatch made =
        MakeTrainingBatch(options, data, batch, outcomes, {.initial = 5, .continuation = 6});
    EXPECT_EQ(made.batch, 7u);
    EXPECT_EQ(made.base, 5u);
    EXPECT_EQ(made.problems, 4u);
    EXPECT_TRUE(made.last);
    auto sample = made.samples.begin();
    for (const Problem& problem : batch.problems) {
      const auto expected = Expected(problem, GetParam());
      EXPECT_EQ(outcomes[problem.position].kept,
                expected.empty() ? Kept::kZeroAdvantage : Kept::kAll);
      ++(expected.empty() ? dropped : kept);
      for (const auto& [leaf, advantages] : expected) {
        ASSERT_NE(sample, made.samples.end());
        EXPECT_EQ(sample->position, problem.position);
        EXPECT_EQ(sample->response, leaf.response);
        EXPECT_EQ(sample->node, leaf.node);
        EXPECT_EQ(sample->prompt_ids, data.problems[problem.row].prompt_ids);
        EXPECT_EQ(sample->response_ids, leaf.tokens);
        EXPECT_EQ(sample->logprobs, leaf.logprobs);
        EXPECT_EQ(sample->reward, leaf.reward);
        EXPECT_EQ(sample->truncated, leaf.truncated);
        EXPECT_THAT(ByToken(sample->advantages), Pointwise(DoubleNear(1e-12), advantages));
        const auto tokens = static_cast<uint32_t>(leaf.tokens.size());
        const auto prefix = static_cast<uint32_t>(leaf.kept);
        std::vector<VersionRun> versions = {{tokens, 5, false}};
        if (leaf.child) versions = {{prefix, 5, false}, {tokens - prefix, 6, true}};
        if (leaf.child && prefix == 0) versions.erase(versions.begin());
        EXPECT_EQ(sample->versions, versions);
        ++sample;
      }
    }
    EXPECT_EQ(sample, made.samples.end());
  }
  EXPECT_GT(kept, 100u);
  EXPECT_GT(dropped, 100u);
}

INSTANTIATE_TEST_SUITE_P(Advantages, JudgeTest, ::testing::Bool(),
                         [](const auto& tree) { return tree.param ? "Tree" : "Group"; });

TEST(Judge, CountsSamplesBeforeTheDropRuleAndNamesEveryEnd) {
  SchedulerOptions options;
  options.branching.criterion = tree::Criterion::kRandom;
  options.branching.children = kChildren;
  options.tree_advantages = true;
  RandomStream random({.seed = 3});
  Problem problem = RandomProblem(random, true);
  uint32_t samples = 0;
  for (uint32_t r = 0; r < problem.responses.size(); ++r) {
    const auto leaves = static_cast<uint32_t>(LeavesOf(problem, r).size());
    if (leaves > 1) samples += leaves;
  }
  ASSERT_GT(samples, 0u);
  EXPECT_EQ(Judge(options, 8192, problem).samples, samples);
  problem.filtered = true;
  const ProblemOutcome filtered = Judge(options, 8192, problem);
  EXPECT_EQ(filtered.kept, Kept::kFiltered);
  EXPECT_EQ(filtered.samples, 0u);
  problem.ungradable = true;
  EXPECT_EQ(Judge(options, 8192, problem).kept, Kept::kUngradable) << "whatever else it is";
  EXPECT_EQ(filtered.responses.size(), problem.responses.size());
  for (uint32_t r = 0; r < problem.responses.size(); ++r) {
    EXPECT_EQ(filtered.children[r].size(), LeavesOf(problem, r).size() - 1);
  }
  EXPECT_EQ(KeptName(Kept::kAll), "all");
  EXPECT_EQ(KeptName(Kept::kFiltered), "filtered");
  EXPECT_EQ(KeptName(Kept::kZeroAdvantage), "zero_advantage");
  EXPECT_EQ(KeptName(Kept::kUngradable), "ungradable");
}

}  // namespace
}  // namespace attnrl::scheduler
