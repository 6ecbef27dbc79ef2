// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/task/word_problems.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attnrl::tools {
namespace {

constexpr uint32_t kWordProblems = 400;

std::vector<TaskProblem> WordProblems(TaskSplit split, uint64_t seed) {
  std::vector<TaskProblem> problems;
  for (uint32_t i = 0; i < kWordProblems; ++i)
    problems.push_back(GenerateWordProblem(split, seed, i));
  return problems;
}

// Reads the sentences of a prompt: an implementation that shares nothing with the generator.
int SolveWords(const std::string& prompt) {
  static const std::regex kSentence("([^.?]+)[.?] ?");
  static const std::regex kStart("\\w+ has (\\d+) \\w+");
  static const std::regex kMore("(?:Then )?\\w+ (?:finds|gets|is given) (\\d+) more \\w+");
  static const std::regex kLess("(?:Then )?\\w+ (?:loses|sells|gives away) (\\d+) \\w+");
  static const std::regex kBuys("(?:Then )?\\w+ buys (\\d+) \\w+ with (\\d+) \\w+ each");
  static const std::regex kHalf("(?:Then )?\\w+ gives half of the \\w+ to a friend");
  static const std::regex kTwice("(?:Then )?\\w+ doubles the number of \\w+");
  int count = -1;
  for (std::sregex_iterator at(prompt.begin(), prompt.end(), kSentence), end; at != end; ++at) {
    const std::string sentence = at->str(1);
    std::smatch match;
    if (sentence.starts_with("How many")) return count;
    if (std::regex_match(sentence, match, kStart)) {
      count = std::stoi(match.str(1));
    } else if (std::regex_match(sentence, match, kMore)) {
      count += std::stoi(match.str(1));
    } else if (std::regex_match(sentence, match, kLess)) {
      count -= std::stoi(match.str(1));
    } else if (std::regex_match(sentence, match, kBuys)) {
      count += std::stoi(match.str(1)) * std::stoi(match.str(2));
    } else if (std::regex_match(sentence, match, kHalf)) {
      EXPECT_EQ(count % 2, 0) << prompt;
      count /= 2;
    } else if (std::regex_match(sentence, match, kTwice)) {
      count *= 2;
    } else {
      ADD_FAILURE() << "not understood: " << sentence << " in " << prompt;
    }
  }
  ADD_FAILURE() << "no question: " << prompt;
  return count;
}

// The sentences of a prompt between what somebody has and the question.
int64_t Events(const std::string& prompt) {
  return std::count(prompt.begin(), prompt.end(), '.') - 2;
}

TEST(WordProblems, StateTheRightAnswer) {
  for (const TaskProblem& problem : WordProblems(TaskSplit::kTrain, 1)) {
    EXPECT_EQ(std::to_string(SolveWords(problem.prompt)), problem.answer) << problem.prompt;
    EXPECT_TRUE(problem.response.ends_with("\\boxed{" + problem.answer + "}."));
    EXPECT_TRUE(problem.prompt.ends_with("Put the final answer in \\boxed{}."));
  }
}

TEST(WordProblems, AreWorkedInStepsWhoseEveryFormulaIsRight) {
  static const std::regex kFormula("(\\d+) ([-+*/]) (\\d+) = (\\d+)");
  for (const TaskProblem& problem : WordProblems(TaskSplit::kTrain, 2)) {
    size_t formulas = 0;
    const std::string& text = problem.response;
    for (std::sregex_iterator at(text.begin(), text.end(), kFormula), end; at != end; ++at) {
      const int left = std::stoi(at->str(1));
      const int right = std::stoi(at->str(3));
      const char operation = at->str(2)[0];
      EXPECT_EQ(std::stoi(at->str(4)), operation == '+'   ? left + right
                                       : operation == '-' ? left - right
                                       : operation == '*' ? left * right
                                                          : left / right);
      ++formulas;
    }
    EXPECT_GE(formulas, 1u) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2 * Events(problem.prompt)) << text;
  }
}

TEST(WordProblems, KeepTheirNumbersSmallAndTheirAnswersApart) {
  std::set<std::string> answers;
  for (const TaskProblem& problem : WordProblems(TaskSplit::kEval, 3)) {
    EXPECT_GE(std::stoi(problem.answer), 1);
    EXPECT_LE(std::stoi(problem.answer), kMostThings);
    answers.insert(problem.answer);
  }
  EXPECT_GT(answers.size(), 40u) << "nothing to guess";
}

TEST(WordProblems, KeepTheSplitsApartForAnySeeds) {
  std::set<std::string> train;
  for (const uint64_t seed : {0u, 7u}) {
    for (const TaskProblem& problem : WordProblems(TaskSplit::kTrain, seed)) {
      train.insert(problem.prompt);
    }
  }
  EXPECT_GT(train.size(), 2 * kWordProblems - 8) << "the shortest repeat, hardly ever";
  for (const TaskProblem& problem : WordProblems(TaskSplit::kEval, 0)) {
    EXPECT_EQ(SplitOf(problem.prompt), TaskSplit::kEval);
    EXPECT_FALSE(train.contains(problem.prompt));
  }
}

TEST(WordProblems, AreTheSameBytesForTheSameSeed) {
  const TaskProblem problem = GenerateWordProblem(TaskSplit::kEval, 5, 3);
  EXPECT_EQ(TaskRecord(problem).dump(),
            TaskRecord(GenerateWordProblem(TaskSplit::kEval, 5, 3)).dump());
  EXPECT_NE(problem.prompt, GenerateWordProblem(TaskSplit::kEval, 6, 3).prompt);
  EXPECT_EQ(problem.id, "words-eval-5-3");
  EXPECT_EQ(TaskRecord(problem)["source"], "word-problems");
}

}  // namespace
}  // namespace attnrl::tools
