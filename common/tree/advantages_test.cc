// SPDX-License-Identifier: Apache-2.0
#include "common/tree/advantages.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/testing/shared_data.h"

namespace attnrl::tree {
namespace {

using Json = nlohmann::json;
using testing::DoubleNear;
using testing::HasSubstr;
using testing::Pointwise;

ProblemTree FromJson(const Json& record) {
  ProblemTree problem;
  if (record.contains("max_response_length")) {
    problem.max_response_length = record["max_response_length"].get<int64_t>();
  }
  for (const Json& response : record["responses"]) {
    Response out{response["tokens"], response["reward"], {}};
    for (const Json& branch : response["branches"]) {
      Branch part{branch["split"], {}};
      for (const Json& child : branch["children"]) {
        part.children.push_back({child["tokens"], child["reward"]});
      }
      out.branches.push_back(part);
    }
    problem.responses.push_back(out);
  }
  return problem;
}

std::string Name(const Json& response, const Json& branch, const Json& child) {
  return response.dump() + "/" + branch.dump() + "/" + child.dump();
}

Json Index(const std::optional<int64_t>& index) { return index ? Json(*index) : Json(); }

TEST(TreeAdvantages, EqualTheReferenceOnItsOwnCases) {
  const std::string path = SharedData("data/oracle/tree/cases.jsonl");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  std::ifstream in(path);
  int cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    const Json record = Json::parse(line);
    SCOPED_TRACE(record["id"].dump() + record["kind"].dump());
    const Json& expected = record["expected"];
    const auto got = ComputeTreeAdvantages(FromJson(record));
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->dropped, expected["dropped"].get<bool>());
    EXPECT_EQ(got->dropped ? 0 : got->leaves.size(), expected["valid_samples"].get<size_t>());
    std::map<std::string, Json> samples;
    for (const Json& sample : expected["samples"]) {
      samples[Name(sample["response"], sample["branch"], sample["child"])] = sample;
    }
    ASSERT_EQ(got->leaves.size(), samples.size());
    for (const Leaf& leaf : got->leaves) {
      const Json& want = samples.at(Name(leaf.response, Index(leaf.branch), Index(leaf.child)));
      EXPECT_EQ(leaf.reward, want["reward"].get<double>());
      ASSERT_EQ(leaf.segments.size(), want["segments"].size());
      int64_t length = 0;
      for (size_t i = 0; i < leaf.segments.size(); ++i) {
        EXPECT_EQ(leaf.segments[i].length, want["segments"][i][0].get<int64_t>());
        EXPECT_NEAR(leaf.segments[i].advantage, want["segments"][i][1].get<double>(), 1e-9);
        length += leaf.segments[i].length;
      }
      EXPECT_EQ(length, want["length"].get<int64_t>());
    }
  }
  EXPECT_GT(cases, 0);
}

// Two responses, the first expanded at 4 with continuations of reward 1 and 0. Leaves: 1, 1, 0 and
// the unexpanded 0, so V(root) = 1/2.
ProblemTree Small() {
  ProblemTree problem;
  problem.responses = {{10, 1, {{4, {{5, 1}, {7, 0}}}}}, {8, 0, {}}};
  return problem;
}

TEST(TreeAdvantages, FollowTheFormulaByHand) {
  const auto got = ComputeTreeAdvantages(Small());
  ASSERT_TRUE(got.ok());
  EXPECT_FALSE(got->dropped);
  ASSERT_EQ(got->leaves.size(), 3u);
  const Leaf& original = got->leaves[0];
  EXPECT_FALSE(original.branch.has_value());
  ASSERT_EQ(original.segments.size(), 2u);
  EXPECT_EQ(original.segments[0].length, 4);
  EXPECT_NEAR(original.segments[0].advantage, 2 * (2.0 / 3 - 0.5) / std::sqrt(3.0), 1e-15);
  EXPECT_EQ(original.segments[1].length, 6);
  EXPECT_NEAR(original.segments[1].advantage, (1 - 0.5) + (1 - 2.0 / 3), 1e-15);
  EXPECT_EQ(got->leaves[2].segments[1].length, 7);
  EXPECT_NEAR(got->leaves[2].segments[1].advantage, (0 - 0.5) + (0 - 2.0 / 3), 1e-15);
}

TEST(TreeAdvantages, CountUnexpandedResponsesInTheRootButNotAsSamples) {
  ProblemTree problem = Small();
  problem.responses[0].branches[0].children[1].reward = 1;
  const auto got = ComputeTreeAdvantages(problem);
  ASSERT_TRUE(got.ok());
  EXPECT_TRUE(got->dropped);  // all samples have reward 1
  EXPECT_NEAR(got->leaves[0].segments[0].advantage, 2 * (1 - 0.75) / std::sqrt(3.0), 1e-15);
}

TEST(TreeAdvantages, DropAProblemWithoutSamples) {
  ProblemTree problem;
  problem.responses = {{10, 1, {}}, {8, 0, {}}};
  const auto got = ComputeTreeAdvantages(problem);
  ASSERT_TRUE(got.ok());
  EXPECT_TRUE(got->dropped);
  EXPECT_TRUE(got->leaves.empty());
}

TEST(TreeAdvantages, LeaveOutTheEmptySegmentBeforeASplitAtTheStart) {
  ProblemTree problem = Small();
  problem.responses[0].branches[0].split = 0;
  const auto got = ComputeTreeAdvantages(problem);
  ASSERT_TRUE(got.ok());
  for (const Leaf& leaf : got->leaves) EXPECT_EQ(leaf.segments.size(), 1u);
  EXPECT_EQ(got->leaves[0].segments[0].length, 10);
}

TEST(TreeAdvantages, CutLeavesToTheLongestResponse) {
  ProblemTree problem = Small();
  problem.max_response_length = 4;
  const auto got = ComputeTreeAdvantages(problem);
  ASSERT_TRUE(got.ok());
  for (const Leaf& leaf : got->leaves) {
    ASSERT_EQ(leaf.segments.size(), 1u);
    EXPECT_EQ(leaf.segments[0].length, 4);
  }
}

TEST(TreeAdvantages, NameWhatIsWrongWithATree) {
  ProblemTree problem = Small();
  problem.responses[0].branches[0].split = 10;
  absl::Status status = ComputeTreeAdvantages(problem).status();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("responses[0].branches[0].split: 10 is outside the response; 0 to 9"));
  problem = Small();
  problem.responses[0].branches[0].children.clear();
  EXPECT_TRUE(IsInputError(ComputeTreeAdvantages(problem).status()));
  problem = Small();
  problem.responses[1].tokens = 0;
  EXPECT_TRUE(IsInputError(ComputeTreeAdvantages(problem).status()));
  problem = Small();
  problem.responses[0].branches[0].children[1].tokens = 0;
  EXPECT_TRUE(IsInputError(ComputeTreeAdvantages(problem).status()));
}

TEST(TreeAdvantages, NameTheSmallestWrongNumbersAndAcceptTheSmallestRightOnes) {
  const auto message = [](const ProblemTree& problem) {
    return std::string(ComputeTreeAdvantages(problem).status().message());
  };
  ProblemTree problem;
  problem.responses = {{1, 1, {{0, {{1, 0}}}}}};
  problem.max_response_length = 1;
  EXPECT_EQ(message(problem), "");
  problem.max_response_length = 0;
  EXPECT_EQ(message(problem), "max_response_length: is below 1; 1 or more");
  problem = Small();
  problem.responses[0].branches[0].split = -1;
  EXPECT_EQ(message(problem), "responses[0].branches[0].split: -1 is outside the response; 0 to 9");
  problem = Small();
  problem.responses[1].tokens = 0;
  EXPECT_EQ(message(problem), "responses[1].tokens: is below 1; 1 or more");
  problem = Small();
  problem.responses[0].branches[0].children[1].tokens = 0;
  EXPECT_EQ(message(problem), "responses[0].branches[0].children[1].tokens: is below 1; 1 or more");
  problem.responses[0].branches[0].children.clear();
  EXPECT_EQ(message(problem),
            "responses[0].branches[0].children: is empty; one or more continuations");
  EXPECT_EQ(std::string(ComputeGroupAdvantages(Small()).status().message()),
            "responses: have branches; group advantages need responses without branches");
}

// ---- against the definition

// A leaf of a response by the number of its tokens that it shares with the original.
struct NaiveLeaf {
  int64_t kept = 0;
  int64_t tokens = 0;  // in all
  double reward = 0;
};

// The original first, then branch by branch.
std::vector<NaiveLeaf> LeavesOf(const Response& response) {
  std::vector<NaiveLeaf> leaves = {{response.tokens, response.tokens, response.reward}};
  for (const Branch& branch : response.branches) {
    for (const Child& child : branch.children) {
      leaves.push_back({branch.split, branch.split + child.tokens, child.reward});
    }
  }
  return leaves;
}

struct NaiveNode {
  double value = 0;
  double leaves = 0;
};

// The node of the original's segment that ends at `end`: what shares its tokens is below it.
NaiveNode NodeThatEndsAt(const std::vector<NaiveLeaf>& leaves, int64_t end) {
  NaiveNode node;
  for (const NaiveLeaf& leaf : leaves) {
    if (leaf.kept < end) continue;
    node.value += leaf.reward;
    node.leaves += 1;
  }
  node.value /= node.leaves;
  return node;
}

// The advantage of every token of every leaf, straight from the formula.
std::vector<std::vector<double>> NaiveAdvantages(const ProblemTree& problem) {
  NaiveNode root;
  for (const Response& response : problem.responses) {
    for (const NaiveLeaf& leaf : LeavesOf(response)) {
      root.value += leaf.reward;
      root.leaves += 1;
    }
  }
  root.value /= root.leaves;
  const auto advantage = [&](const NaiveNode& node, const NaiveNode& parent) {
    return (node.value - root.value + node.value - parent.value) / std::sqrt(node.leaves);
  };
  std::vector<std::vector<double>> all;
  for (const Response& response : problem.responses) {
    if (response.branches.empty()) continue;
    const std::vector<NaiveLeaf> leaves = LeavesOf(response);
    std::set<int64_t> ends = {response.tokens};
    for (const Branch& branch : response.branches) ends.insert(branch.split);
    for (const NaiveLeaf& leaf : leaves) {
      std::vector<double> tokens;
      NaiveNode parent = root;
      for (const int64_t end : ends) {
        if (end > leaf.kept) break;
        const NaiveNode node = NodeThatEndsAt(leaves, end);
        tokens.resize(static_cast<size_t>(end), advantage(node, parent));
        parent = node;
      }
      tokens.resize(static_cast<size_t>(leaf.tokens), advantage({leaf.reward, 1}, parent));
      const auto limit = static_cast<size_t>(problem.max_response_length.value_or(leaf.tokens));
      tokens.resize(std::min(tokens.size(), limit));
      all.push_back(tokens);
    }
  }
  return all;
}

ProblemTree RandomTree(RandomStream& random) {
  const auto between = [&random](uint64_t low, uint64_t high) {
    return static_cast<int64_t>(low + random.Below(high - low + 1));
  };
  const auto reward = [&] { return static_cast<double>(between(0, 1)); };
  ProblemTree problem;
  for (int64_t r = between(1, 4); r > 0; --r) {
    Response response{between(1, 12), reward(), {}};
    for (int64_t b = between(0, 3); b > 0; --b) {
      Branch branch{between(0, static_cast<uint64_t>(response.tokens) - 1), {}};
      for (int64_t c = between(1, 3); c > 0; --c)
        branch.children.push_back({between(1, 5), reward()});
      response.branches.push_back(branch);
    }
    problem.responses.push_back(response);
  }
  if (between(0, 3) == 0) problem.max_response_length = between(1, 12);
  return problem;
}

TEST(TreeAdvantages, EqualTheDefinitionTokenByTokenOnRandomTrees) {
  int dropped = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream random({.seed = seed});
    const ProblemTree problem = RandomTree(random);
    const auto got = ComputeTreeAdvantages(problem);
    ASSERT_TRUE(got.ok()) << got.status();
    const std::vector<std::vector<double>> expected = NaiveAdvantages(problem);
    ASSERT_EQ(got->leaves.size(), expected.size());
    std::set<double> rewards;
    for (size_t i = 0; i < expected.size(); ++i) {
      std::vector<double> tokens;
      for (const Segment& segment : got->leaves[i].segments) {
        EXPECT_GT(segment.length, 0);
        tokens.insert(tokens.end(), static_cast<size_t>(segment.length), segment.advantage);
      }
      EXPECT_THAT(tokens, Pointwise(DoubleNear(1e-12), expected[i]));
      rewards.insert(got->leaves[i].reward);
    }
    EXPECT_EQ(got->dropped, rewards.size() < 2);
    dropped += got->dropped ? 1 : 0;
  }
  EXPECT_GT(dropped, 20);
  EXPECT_LT(dropped, 380);
}

TEST(GroupAdvantages, NormaliseByTheSampleDeviation) {
  ProblemTree problem;
  problem.responses = {{10, 1, {}}, {8, 0, {}}, {3, 0, {}}, {5, 0, {}}};
  const auto got = ComputeGroupAdvantages(problem);
  ASSERT_TRUE(got.ok());
  EXPECT_FALSE(got->dropped);
  ASSERT_EQ(got->leaves.size(), 4u);
  EXPECT_NEAR(got->leaves[0].segments[0].advantage, 0.75 / (0.5 + 1e-6), 1e-12);
  EXPECT_NEAR(got->leaves[3].segments[0].advantage, -0.25 / (0.5 + 1e-6), 1e-12);
  EXPECT_EQ(got->leaves[3].segments[0].length, 5);
}

TEST(GroupAdvantages, DropGroupsThatAgreeAndLoneResponses) {
  ProblemTree problem;
  problem.responses = {{10, 1, {}}, {8, 1, {}}};
  EXPECT_TRUE(ComputeGroupAdvantages(problem)->dropped);
  problem.responses.pop_back();
  const auto lone = ComputeGroupAdvantages(problem);
  EXPECT_TRUE(lone->dropped);
  EXPECT_EQ(lone->leaves[0].segments[0].advantage, 0);
  EXPECT_TRUE(ComputeGroupAdvantages({})->dropped);
}

TEST(GroupAdvantages, CutSamplesToTheLongestResponse) {
  ProblemTree problem;
  problem.responses = {{10, 1, {}}, {3, 0, {}}};
  problem.max_response_length = 4;
  const auto got = ComputeGroupAdvantages(problem);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->leaves[0].segments[0].length, 4);
  EXPECT_EQ(got->leaves[1].segments[0].length, 3);
  problem.responses[0].tokens = 0;
  EXPECT_TRUE(IsInputError(ComputeGroupAdvantages(problem).status()));
}

TEST(GroupAdvantages, RefuseBranches) {
  EXPECT_TRUE(IsInputError(ComputeGroupAdvantages(Small()).status()));
}

}  // namespace
}  // namespace attnrl::tree
