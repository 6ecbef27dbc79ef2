// SPDX-License-Identifier: Apache-2.0
#include "common/tree/advantages.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "common/base/status.h"
#include "common/testing/shared_data.h"

namespace attnrl::tree {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

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

TEST(GroupAdvantages, RefuseBranches) {
  EXPECT_TRUE(IsInputError(ComputeGroupAdvantages(Small()).status()));
}

}  // namespace
}  // namespace attnrl::tree
