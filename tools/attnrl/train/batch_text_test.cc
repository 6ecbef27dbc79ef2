// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/batch_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/base/status.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Ids are characters.
std::string Characters(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text.push_back(static_cast<char>(id));
  return text;
}

nlohmann::json Problem() {
  return nlohmann::json::parse(R"({"batch":3,"position":1,"problem_id":"p7","prompt_ids":[97,61,55],
    "kept":"all","responses":[{"token_ids":[98,10,10,99],"finish_reason":"stop","version":2,
    "worker":"worker-0","reward":1.0,"verdict":"graded","extracted":"9","segments":[[1,0.5],[3,-1]],
    "branches":[{"split":3,"children":[{"token_ids":[100],"finish_reason":"length","version":2,
    "worker":"worker-1","reward":0.0,"verdict":"no_answer","segments":null}]}]}]})");
}

TEST(BatchText, ShowsPromptResponseAndContinuation) {
  const auto text = ProblemText(Problem(), Characters);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(
      *text,
      "problem p7 (batch 3, position 1, kept: all)\n"
      "  > a=7\n"
      "  response 0: W(2) worker-0, 4 tokens, stop, reward 1.0 (graded, answer 9), advantages "
      "+0.50 x 1, -1.00 x 3\n"
      "    | b\n"
      "    | c\n"
      "    from token 3, continuation 0: W(2) worker-1, 1 tokens, length, reward 0.0 (no_answer), "
      "not trained\n"
      "      | d\n");
}

TEST(BatchText, GivesTheTerminalNoCommandsAndForgesNoLine) {
  nlohmann::json problem = Problem();
  problem["problem_id"] = "a\r\nresponse 9: forged";
  problem["prompt_ids"] = {27, 91, 50, 74};
  problem["responses"][0]["extracted"] = "\x1b]0;pwn\x07";
  const auto text = ProblemText(problem, Characters);
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, HasSubstr("problem a\\x0d\\nresponse 9: forged (batch 3"));
  EXPECT_THAT(*text, HasSubstr("  > \\x1b[2J\n"));
  EXPECT_THAT(*text, HasSubstr("answer \\x1b]0;pwn\\x07)"));
}

TEST(BatchText, SaysHowBranchPointsCameAbout) {
  nlohmann::json problem = Problem();
  nlohmann::json& response = problem["responses"][0];
  response["steps"] = {{0, 3}, {3, 5}, {5, 7}};
  response["fci"] = {0, 0, 0.0125};
  response["points"] = {3};
  response["point_origin"] = {"threshold"};
  const auto text = ProblemText(problem, Characters);
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, HasSubstr("\n    branches at token 3 (threshold, FCI 0.0125)\n    | b\n"));
  EXPECT_THAT(*text, HasSubstr("from token 3 (threshold, FCI 0.0125), continuation 0: W(2)"));
}

TEST(BatchText, SaysWhichResponsesAreNotExpanded) {
  nlohmann::json problem = Problem();
  nlohmann::json& response = problem["responses"][0];
  response["branches"] = response["points"] = response["point_origin"] = nlohmann::json::array();
  response["expanded"] = false;
  response["fci"] = nullptr;
  response["steps"] = nullptr;
  EXPECT_THAT(*ProblemText(problem, Characters), Not(HasSubstr("expanded")));  // none would be
  response["steps"] = {{0, 3}, {3, 7}};
  EXPECT_THAT(*ProblemText(problem, Characters), HasSubstr("\n    not expanded\n"));
}

TEST(BatchText, SaysWhichFieldIsMissing) {
  nlohmann::json problem = Problem();
  problem.erase("responses");
  const auto text = ProblemText(problem, Characters);
  EXPECT_TRUE(IsInputError(text.status()));
  EXPECT_THAT(std::string(text.status().message()), HasSubstr("responses"));
}

}  // namespace
}  // namespace attnrl::tools
