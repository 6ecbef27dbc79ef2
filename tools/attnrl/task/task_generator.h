// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attnrl::tools {

// The embedded task: straight-line programs over the integers modulo 11, solved one definition a
// step. Three variables have values, the first two or three definitions (the keys) combine those,
// a chain of definitions uses the keys again several steps later, and about 40 % of the definitions
// are never used. The answer is one variable of the chain.
//
//   prompt    a=7;b=3;c=9;d=a*b;e=d+5;...;?h          and a blank line
//   response  d=a*b=7*3=10 and a blank line, ..., \boxed{9}

inline constexpr int64_t kModulus = 11;
inline constexpr int64_t kMinDefinitions = 8;
inline constexpr int64_t kMaxDefinitions = 20;

// Training and evaluation problems are told apart by a hash of the prompt alone: they are disjoint
// whatever the seeds.
enum class TaskSplit { kTrain, kEval };

// Which of the two a prompt belongs to; one in eight is for evaluation.
TaskSplit SplitOf(std::string_view prompt);

struct TaskProblem {
  std::string id;        // "keys-eval-0-17": split, seed, index
  std::string prompt;    // ends with a blank line
  std::string response;  // a right solution; the end token is not part of it
  std::string answer;    // "0" to "10"
  std::string source = "keys-mod11";
};

// Problem `index` of the data set of (split, seed), with at most this many definitions (from
// kMinDefinitions on). Pure: the same arguments give the same bytes on every machine.
TaskProblem GenerateTask(TaskSplit split, uint64_t seed, uint32_t index,
                         int64_t max_definitions = kMaxDefinitions);

// The problem as a record of a data set (services/branch_scheduler/README.md, "Data sets"), with
// "response" for supervised training.
nlohmann::ordered_json TaskRecord(const TaskProblem& problem);

absl::StatusOr<TaskSplit> ParseTaskSplit(std::string_view name);  // InputError

}  // namespace attnrl::tools
