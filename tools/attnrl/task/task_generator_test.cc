// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/task/task_generator.h"

#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <vector>

#include "common/base/status.h"

namespace attnrl::tools {
namespace {

constexpr uint32_t kProblems = 400;

std::vector<TaskProblem> Problems(TaskSplit split, uint64_t seed) {
  std::vector<TaskProblem> problems;
  for (uint32_t i = 0; i < kProblems; ++i) problems.push_back(GenerateTask(split, seed, i));
  return problems;
}

// Reads a prompt and computes every variable: an implementation that shares nothing with the
// generator.
struct Solved {
  std::map<char, int> values;
  std::map<char, std::set<char>> uses;  // variables in a definition
  std::vector<char> defined;            // in order
  char query = 0;
};

Solved Solve(const std::string& prompt) {
  Solved out;
  static const std::regex kQuery("\\?([a-w])");
  static const std::regex kValue("([a-c])=(\\d+)");
  static const std::regex kDefinition("([d-w])=(\\w+)([-+*])(\\w+)");
  std::istringstream in(prompt.substr(0, prompt.size() - 2));
  const auto value = [&out](const std::string& word) {
    return word[0] >= 'a' ? out.values.at(word[0]) : std::stoi(word);
  };
  for (std::string part; std::getline(in, part, ';');) {
    std::smatch match;
    if (std::regex_match(part, match, kQuery)) {
      out.query = match.str(1)[0];
    } else if (std::regex_match(part, match, kValue)) {
      out.values[match.str(1)[0]] = std::stoi(match.str(2));
    } else if (std::regex_match(part, match, kDefinition)) {
      const int left = value(match.str(2));
      const int right = value(match.str(4));
      const char name = match.str(1)[0];
      const char operation = match.str(3)[0];
      const int result = operation == '+'   ? left + right
                         : operation == '-' ? left - right + 11
                                            : left * right;
      out.values[name] = result % 11;
      out.defined.push_back(name);
      for (const int word : {2, 4}) {
        if (match.str(static_cast<size_t>(word))[0] >= 'a') {
          out.uses[name].insert(match.str(static_cast<size_t>(word))[0]);
        }
      }
    } else {
      ADD_FAILURE() << "not understood: " << part << " in " << prompt;
    }
  }
  return out;
}

void Mark(const Solved& solved, char name, std::set<char>* used) {
  if (!used->insert(name).second || solved.uses.count(name) == 0) return;
  for (const char other : solved.uses.at(name)) Mark(solved, other, used);
}

TEST(TaskGenerator, KeepsToTheLongestProgramAskedFor) {
  std::set<size_t> lengths;
  for (uint32_t i = 0; i < kProblems; ++i) {
    lengths.insert(Solve(GenerateTask(TaskSplit::kTrain, 1, i, 10).prompt).defined.size());
  }
  EXPECT_EQ(lengths, (std::set<size_t>{8, 9, 10}));
}

TEST(TaskGenerator, StatesTheRightAnswer) {
  for (const TaskProblem& problem : Problems(TaskSplit::kTrain, 1)) {
    const Solved solved = Solve(problem.prompt);
    EXPECT_EQ(std::to_string(solved.values.at(solved.query)), problem.answer) << problem.prompt;
    EXPECT_TRUE(problem.response.ends_with("\\boxed{" + problem.answer + "}"));
  }
}

TEST(TaskGenerator, SolvesEveryDefinitionAsOneStep) {
  for (const TaskProblem& problem : Problems(TaskSplit::kTrain, 2)) {
    const Solved solved = Solve(problem.prompt);
    size_t from = 0;
    for (const char name : solved.defined) {
      const size_t end = problem.response.find("\n\n", from);
      ASSERT_NE(end, std::string::npos);
      const std::string step = problem.response.substr(from, end - from);
      EXPECT_EQ(step[0], name);
      EXPECT_TRUE(step.ends_with("=" + std::to_string(solved.values.at(name)))) << step;
      EXPECT_NE(problem.prompt.find(";" + step.substr(0, step.find('=', 2)) + ";"),
                std::string::npos)
          << step;
      from = end + 2;
    }
    EXPECT_EQ(problem.response.substr(from, 7), "\\boxed{");
  }
}

TEST(TaskGenerator, LeavesAboutFourInTenDefinitionsUnused) {
  double used = 0;
  double all = 0;
  std::set<size_t> lengths;
  for (const TaskProblem& problem : Problems(TaskSplit::kTrain, 3)) {
    const Solved solved = Solve(problem.prompt);
    std::set<char> marked;
    Mark(solved, solved.query, &marked);
    for (const char name : solved.defined) used += static_cast<double>(marked.count(name));
    all += static_cast<double>(solved.defined.size());
    lengths.insert(solved.defined.size());
  }
  EXPECT_NEAR(1 - used / all, 0.4, 0.03);
  EXPECT_EQ(*lengths.begin(), 8u);
  EXPECT_EQ(*lengths.rbegin(), 20u);
  EXPECT_EQ(lengths.size(), 13u);  // difficulties are mixed
}

TEST(TaskGenerator, HasNoFavouriteAnswer) {
  std::map<std::string, int> counts;
  for (const TaskProblem& problem : Problems(TaskSplit::kEval, 4)) ++counts[problem.answer];
  EXPECT_EQ(counts.size(), 11u);
  for (const auto& [answer, count] : counts) {
    EXPECT_LT(count, static_cast<int>(kProblems) / 6) << answer;
  }
}

TEST(TaskGenerator, KeepsTheSplitsApartForAnySeeds) {
  std::set<std::string> train;
  for (const uint64_t seed : {0u, 7u}) {
    for (const TaskProblem& problem : Problems(TaskSplit::kTrain, seed)) {
      EXPECT_EQ(SplitOf(problem.prompt), TaskSplit::kTrain);
      EXPECT_TRUE(train.insert(problem.prompt).second) << "twice: " << problem.prompt;
    }
  }
  for (const TaskProblem& problem : Problems(TaskSplit::kEval, 0)) {
    EXPECT_EQ(SplitOf(problem.prompt), TaskSplit::kEval);
    EXPECT_EQ(train.count(problem.prompt), 0u);
  }
}

TEST(TaskGenerator, GivesTheSameBytesForTheSameSeed) {
  const TaskProblem first = GenerateTask(TaskSplit::kEval, 5, 3);
  EXPECT_EQ(TaskRecord(first).dump(), TaskRecord(GenerateTask(TaskSplit::kEval, 5, 3)).dump());
  EXPECT_NE(first.prompt, GenerateTask(TaskSplit::kEval, 6, 3).prompt);
  EXPECT_NE(first.prompt, GenerateTask(TaskSplit::kEval, 5, 4).prompt);
  EXPECT_EQ(first.id, "keys-eval-5-3");
}

TEST(TaskGenerator, WritesDataSetRecords) {
  const TaskProblem problem = GenerateTask(TaskSplit::kTrain, 0, 0);
  const nlohmann::ordered_json record = TaskRecord(problem);
  EXPECT_EQ(record["id"], "keys-train-0-0");
  EXPECT_EQ(record["prompt"], problem.prompt);
  EXPECT_EQ(record["answers"], nlohmann::ordered_json::array({problem.answer}));
  EXPECT_EQ(record["source"], "keys-mod11");
  EXPECT_EQ(record["response"], problem.response);
}

TEST(TaskGenerator, NamesTheSplits) {
  EXPECT_EQ(*ParseTaskSplit("train"), TaskSplit::kTrain);
  EXPECT_EQ(*ParseTaskSplit("eval"), TaskSplit::kEval);
  EXPECT_TRUE(IsInputError(ParseTaskSplit("test").status()));
}

}  // namespace
}  // namespace attnrl::tools
