// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/task/task_generator.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "common/base/status.h"

namespace attnrl::tools {
namespace {

constexpr size_t kInitial = 3;  // variables with a value

struct Operand {
  bool variable = false;
  size_t index = 0;   // of the variable: 0 is a
  int64_t value = 0;  // of the variable or of the constant
};

struct Definition {
  Operand left;
  Operand right;
  char operation = '+';
  int64_t value = 0;
};

char Letter(size_t variable) { return static_cast<char>('a' + static_cast<char>(variable)); }

std::string Written(const Operand& operand) {
  return operand.variable ? std::string(1, Letter(operand.index)) : absl::StrCat(operand.value);
}

int64_t Apply(char operation, int64_t left, int64_t right) {
  switch (operation) {
    case '*':
      return left * right % kModulus;
    case '-':
      return (left - right + kModulus) % kModulus;
    default:
      return (left + right) % kModulus;
  }
}

enum class Role { kKey, kChain, kUnused };

// One program under construction; every choice comes from one random stream.
class Program {
 public:
  explicit Program(const RandomKey& key) : random_(key) {
    for (size_t i = 0; i < kInitial; ++i) values_.push_back(Below(kModulus));
    const int64_t count = kMinDefinitions + Below(kMaxDefinitions - kMinDefinitions + 1);
    const int64_t keys = 2 + Below(2);
    for (const Role role : Roles(count, keys)) Define(role);
  }

  std::string Prompt() const {
    std::string out;
    for (size_t i = 0; i < kInitial; ++i) {
      absl::StrAppend(&out, std::string(1, Letter(i)), "=", values_[i], ";");
    }
    for (size_t i = 0; i < definitions_.size(); ++i) absl::StrAppend(&out, Formula(i), ";");
    absl::StrAppend(&out, "?", std::string(1, Letter(answer_)), "\n\n");
    return out;
  }

  std::string Response() const {
    std::string out;
    for (size_t i = 0; i < definitions_.size(); ++i) {
      const Definition& step = definitions_[i];
      absl::StrAppend(&out, Formula(i), "=", step.left.value, std::string(1, step.operation),
                      step.right.value, "=", step.value, "\n\n");
    }
    absl::StrAppend(&out, "\\boxed{", Answer(), "}");
    return out;
  }

  std::string Answer() const { return absl::StrCat(values_[answer_]); }
  int64_t definitions() const { return std::ssize(definitions_); }

 private:
  int64_t Below(int64_t n) { return static_cast<int64_t>(random_.Below(static_cast<uint64_t>(n))); }

  // The keys first, then chain and unused definitions in random order.
  std::vector<Role> Roles(int64_t count, int64_t keys) {
    const int64_t unused = (count * 4 + 5) / 10;
    std::vector<Role> rest(static_cast<size_t>(count - keys), Role::kChain);
    std::fill_n(rest.begin(), unused, Role::kUnused);
    for (size_t i = rest.size(); i > 1; --i) {
      std::swap(rest[i - 1], rest[static_cast<size_t>(Below(static_cast<int64_t>(i)))]);
    }
    std::vector<Role> roles(static_cast<size_t>(keys), Role::kKey);
    roles.insert(roles.end(), rest.begin(), rest.end());
    return roles;
  }

  void Define(Role role) {
    Operand left;
    Operand right;
    switch (role) {
      case Role::kKey:  // two different initial values
        left = Variable(static_cast<size_t>(Below(kInitial)));
        right = Variable((left.index + 1 + static_cast<size_t>(Below(kInitial - 1))) % kInitial);
        break;
      case Role::kChain:
        left = Variable(chain_length_ == 0 ? keys_[0] : answer_);
        right = chain_length_ < keys_.size() - 1 ? Variable(keys_[chain_length_ + 1]) : Partner();
        if (Below(2) == 0) std::swap(left, right);
        break;
      case Role::kUnused:
        left = AnyVariable();
        right = Below(2) == 0 ? AnyVariable() : Constant();
        break;
    }
    const size_t defined = Append(left, right);
    if (role == Role::kKey) keys_.push_back(defined);
    if (role == Role::kChain) {
      answer_ = defined;
      ++chain_length_;
    }
  }

  // What a later step of the chain combines the chain's value with: mostly a key.
  Operand Partner() {
    const int64_t draw = Below(10);
    if (draw < 7) return Variable(keys_[static_cast<size_t>(Below(std::ssize(keys_)))]);
    if (draw < 9) return Constant();
    return Variable(static_cast<size_t>(Below(kInitial)));
  }

  size_t Append(const Operand& left, const Operand& right) {
    // Products of 0 would make 0 the likely answer of every long chain.
    const bool may_multiply = left.value != 0 && right.value != 0;
    const char operation = "+-*"[Below(may_multiply ? 3 : 2)];
    const int64_t value = Apply(operation, left.value, right.value);
    definitions_.push_back({left, right, operation, value});
    values_.push_back(value);
    return values_.size() - 1;
  }

  Operand Variable(size_t index) const { return {true, index, values_[index]}; }
  Operand AnyVariable() { return Variable(static_cast<size_t>(Below(std::ssize(values_)))); }
  Operand Constant() { return {false, 0, 2 + Below(kModulus - 2)}; }

  std::string Formula(size_t step) const {
    const Definition& definition = definitions_[step];
    return absl::StrCat(std::string(1, Letter(kInitial + step)), "=", Written(definition.left),
                        std::string(1, definition.operation), Written(definition.right));
  }

  RandomStream random_;
  std::vector<int64_t> values_;  // of all variables, the initial ones first
  std::vector<Definition> definitions_;
  std::vector<size_t> keys_;  // variables
  size_t answer_ = 0;         // the chain's last variable so far
  size_t chain_length_ = 0;
};

std::string SplitName(TaskSplit split) { return split == TaskSplit::kTrain ? "train" : "eval"; }

}  // namespace

TaskSplit SplitOf(std::string_view prompt) {
  uint64_t hash = 0xCBF29CE484222325;  // FNV-1a, 64 bits
  for (const char c : prompt) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  // FNV's low bits mix little: the top three decide.
  return hash >> 61 == 0 ? TaskSplit::kEval : TaskSplit::kTrain;
}

TaskProblem GenerateTask(TaskSplit split, uint64_t seed, uint32_t index, int64_t max_definitions) {
  RandomKey key;
  key.seed = seed;
  key.purpose = kMakeTask;
  key.batch = static_cast<uint32_t>(split);
  key.position = index;
  // Drawn until one falls into the split (one in eight does for evaluation) and is short enough.
  for (;; ++key.node) {
    const Program program(key);
    if (program.definitions() > max_definitions) continue;
    std::string prompt = program.Prompt();
    if (SplitOf(prompt) != split) continue;
    return {absl::StrCat("keys-", SplitName(split), "-", seed, "-", index), std::move(prompt),
            program.Response(), program.Answer(), "keys-mod11"};
  }
}

nlohmann::ordered_json TaskRecord(const TaskProblem& problem) {
  return {{"id", problem.id},
          {"prompt", problem.prompt},
          {"answers", nlohmann::ordered_json::array({problem.answer})},
          {"source", problem.source},
          {"response", problem.response}};
}

absl::StatusOr<TaskSplit> ParseTaskSplit(std::string_view name) {
  if (name == "train") return TaskSplit::kTrain;
  if (name == "eval") return TaskSplit::kEval;
  return InputError("--split", absl::StrCat("no split \"", std::string(name), "\""),
                    "train or eval");
}

}  // namespace attnrl::tools
