// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/task/word_problems.h"

#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"

namespace attnrl::tools {
namespace {

struct Person {
  const char* name;
  const char* subject;  // "She"
};
struct Thing {
  const char* many;
  const char* container;  // plural
};

constexpr std::array<Person, 12> kPeople = {{{"Mia", "She"},
                                             {"Tom", "He"},
                                             {"Nora", "She"},
                                             {"Ben", "He"},
                                             {"Lena", "She"},
                                             {"Omar", "He"},
                                             {"Ruth", "She"},
                                             {"Ivan", "He"},
                                             {"Clara", "She"},
                                             {"Hugo", "He"},
                                             {"Aisha", "She"},
                                             {"Paul", "He"}}};
constexpr std::array<Thing, 12> kThings = {{{"apples", "bags"},
                                            {"pencils", "boxes"},
                                            {"stickers", "sheets"},
                                            {"marbles", "jars"},
                                            {"cookies", "tins"},
                                            {"coins", "rolls"},
                                            {"shells", "buckets"},
                                            {"candles", "packs"},
                                            {"eggs", "cartons"},
                                            {"buttons", "bags"},
                                            {"stamps", "sheets"},
                                            {"beads", "jars"}}};

// One problem under construction; every choice comes from one random stream.
class Story {
 public:
  explicit Story(const RandomKey& key) : random_(key) {
    person_ = kPeople[Below(kPeople.size())];
    thing_ = kThings[Below(kThings.size())];
    count_ = Between(3, 20);
    absl::StrAppend(&prompt_, person_.name, " has ", count_, " ", thing_.many, ".");
    for (int64_t left = Between(1, 3); left > 0; --left) Happen();
    absl::StrAppend(&prompt_, " How many ", thing_.many, " does ", person_.name,
                    " have now? Put the final answer in \\boxed{}.");
    absl::StrAppend(&response_, "The final answer is \\boxed{", count_, "}.");
  }

  TaskProblem Problem(std::string id) const {
    return {std::move(id), prompt_, response_, absl::StrCat(count_), "word-problems"};
  }

 private:
  uint64_t Below(uint64_t n) { return random_.Below(n); }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low + 1)));
  }

  // The next event. Drawn again where it would leave the range, which adding and giving away never
  // both do.
  void Happen() {
    for (;;) {
      switch (Below(6)) {
        case 0:
          if (Gain(Between(2, 15), {"finds", "gets", "is given"})) return;
          break;
        case 1:
        case 2:
          if (Lose(Between(2, 15))) return;
          break;
        case 3:
        case 4:
          if (Buy(Between(2, 4), Between(2, 6))) return;
          break;
        default:
          if (Below(2) == 0 ? Halve() : Double()) return;
      }
    }
  }

  bool Gain(int64_t number, const std::array<const char*, 3>& verbs) {
    if (count_ + number > kMostThings) return false;
    Tell(verbs[Below(verbs.size())], absl::StrCat(number, " more ", thing_.many));
    Compute(absl::StrCat(count_, " + ", number), count_ + number);
    return true;
  }

  bool Lose(int64_t number) {
    if (count_ - number < 1) return false;
    constexpr std::array<const char*, 3> kVerbs = {"loses", "sells", "gives away"};
    Tell(kVerbs[Below(kVerbs.size())], absl::StrCat(number, " ", thing_.many));
    Compute(absl::StrCat(count_, " - ", number), count_ - number);
    return true;
  }

  bool Buy(int64_t containers, int64_t each) {
    const int64_t all = containers * each;
    if (count_ + all > kMostThings) return false;
    Tell("buys", absl::StrCat(containers, " ", thing_.container, " with ", each, " ", thing_.many,
                              " each"));
    absl::StrAppend(&response_, containers, " * ", each, " = ", all, ", and ");
    Compute(absl::StrCat(count_, " + ", all), count_ + all);
    return true;
  }

  bool Halve() {
    if (count_ % 2 != 0) return false;
    Tell("gives", absl::StrCat("half of the ", thing_.many, " to a friend"));
    Compute(absl::StrCat(count_, " / 2"), count_ / 2);
    return true;
  }

  bool Double() {
    if (2 * count_ > kMostThings) return false;
    Tell("doubles", absl::StrCat("the number of ", thing_.many));
    Compute(absl::StrCat(count_, " * 2"), 2 * count_);
    return true;
  }

  // A sentence of the prompt.
  void Tell(std::string_view verb, const std::string& what) {
    absl::StrAppend(&prompt_, " ", first_ ? "" : "Then ", first_ ? person_.subject : Lower(), " ",
                    std::string(verb), " ", what, ".");
    first_ = false;
  }
  std::string Lower() const { return std::string_view(person_.subject) == "She" ? "she" : "he"; }

  // The end of a step of the response, which makes `result` the number of things.
  void Compute(const std::string& formula, int64_t result) {
    absl::StrAppend(&response_, formula, " = ", result, ".\n\n");
    count_ = result;
  }

  RandomStream random_;
  Person person_{};
  Thing thing_{};
  int64_t count_ = 0;  // of the things, so far
  bool first_ = true;
  std::string prompt_;
  std::string response_;
};

}  // namespace

TaskProblem GenerateWordProblem(TaskSplit split, uint64_t seed, uint32_t index) {
  RandomKey key;
  key.seed = seed;
  key.purpose = kMakeTask;
  // The other task's problems have the numbers below 2 here.
  key.batch = 2 + static_cast<uint32_t>(split);
  key.position = index;
  for (;; ++key.node) {
    TaskProblem problem = Story(key).Problem(absl::StrCat(
        "words-", split == TaskSplit::kTrain ? "train" : "eval", "-", seed, "-", index));
    if (SplitOf(problem.prompt) == split) return problem;
  }
}

}  // namespace attnrl::tools
