// SPDX-License-Identifier: Apache-2.0
// Tries to fool the grader: makes wrong answers of right ones by seeded rules, and other spellings
// of right ones. Exit 1 if a wrong one was accepted or a right one refused.
//   fool_the_grader [mutants=1000000] [rewrites=200000] [seed=1] [rule="part of a name"]
// Accepted answers: built-in ones, and data/sets beside the repository (ATTNRL_SHARED).
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/testing/shared_data.h"
#include "services/verifier/grading/grader.h"
#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

struct Settings {
  uint64_t mutants = 1'000'000;
  uint64_t rewrites = 200'000;
  uint64_t seed = 1;
  std::string rule;
};

struct Golds {
  std::vector<Gold> all;
  std::vector<Gold> others;  // that are no integers: most of the data are
};

struct Tally {
  uint64_t tried = 0;
  uint64_t failed = 0;
  uint64_t limit = 0;
  uint64_t slowest = 0;  // microseconds
};

verifier::GradeResult Verdict(const Rule& rule, const std::string& made, const Gold& gold) {
  return verifier::Grade({"", rule.response ? made : "\\boxed{" + made + "}", {gold.text}});
}

// Runs `count` cases of `rules`; the number of those whose verdict isn't `wanted`.
uint64_t Run(std::vector<Rule> rules, uint64_t count, bool wanted, const Golds& golds,
             const Settings& settings) {
  std::erase_if(rules, [&](const Rule& rule) {
    return std::string_view(rule.name).find(settings.rule) == std::string_view::npos;
  });
  if (rules.empty()) return 0;
  std::map<std::string, Tally> tallies;
  uint64_t failed = 0;
  for (uint64_t i = 0; i < count; ++i) {
    RandomStream random({.seed = settings.seed,
                         .batch = static_cast<uint32_t>(i >> 32),
                         .position = static_cast<uint32_t>(i),
                         .node = wanted ? 1u : 0u});
    const Rule& rule = rules[i % rules.size()];
    constexpr int kTries = 60;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const std::vector<Gold>& some = random.Below(3) == 0 ? golds.all : golds.others;
      const Gold& gold = some[random.Below(some.size())];
      const std::optional<std::string> made = rule.make(gold, random);
      if (!made || (!wanted && *made == gold.text)) continue;
      const verifier::GradeResult result = Verdict(rule, *made, gold);
      Tally& tally = tallies[rule.name];
      ++tally.tried;
      tally.limit += result.status == verifier::GradeStatus::kLimit ? 1 : 0;
      tally.slowest = std::max(tally.slowest, result.micros);
      if (result.correct != wanted) {
        ++tally.failed;
        ++failed;
        std::cout << (wanted ? "refused: " : "accepted: ") << rule.name << "\t" << gold.text << "\t"
                  << *made << "\n";
      }
      break;
    }
  }
  std::printf("%-30s %10s %10s %8s %10s\n", wanted ? "rewrite" : "rule", "tried",
              wanted ? "refused" : "accepted", "limit", "slowest");
  for (const auto& [name, tally] : tallies) {
    std::printf("%-30s %10lu %10lu %8lu %7.1f ms\n", name.c_str(), tally.tried, tally.failed,
                tally.limit, static_cast<double>(tally.slowest) / 1000);
  }
  return failed;
}

// Golds that aren't equal to themselves; empty ones equal nothing.
uint64_t CountUnequalToThemselves(const Golds& golds) {
  uint64_t failed = 0;
  for (const Gold& gold : golds.all) {
    if (verifier::Grade({"", "\\boxed{" + gold.text + "\\,}", {gold.text}}).correct) continue;
    ++failed;
    std::cout << "refused: itself\t" << gold.text << "\n";
  }
  return failed;
}

bool Parse(int count, char** arguments, Settings& settings) {
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    const size_t equals = argument.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view name = argument.substr(0, equals);
    const std::string value(argument.substr(equals + 1));
    if (name == "mutants") {
      settings.mutants = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "rewrites") {
      settings.rewrites = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "seed") {
      settings.seed = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "rule") {
      settings.rule = value;
    } else {
      return false;
    }
  }
  return true;
}

Golds ReadGolds() {
  std::vector<std::string> texts = BuiltInGolds();
  const std::string folder = SharedData("data/sets");
  const std::vector<std::string> more = GoldsOf(folder);
  if (more.empty()) std::cout << "no data sets in " << folder << ": built-in answers only\n";
  texts.insert(texts.end(), more.begin(), more.end());
  Golds golds;
  for (const std::string& text : texts) {
    Gold gold = Describe(text);
    if (gold.text.empty()) continue;
    if (!gold.integer) golds.others.push_back(gold);
    golds.all.push_back(std::move(gold));
  }
  std::cout << golds.all.size() << " accepted answers, " << golds.others.size()
            << " of them no integers\n";
  return golds;
}

int Main(int count, char** arguments) {
  Settings settings;
  if (!Parse(count, arguments, settings)) {
    std::cerr << "fool_the_grader [mutants=N] [rewrites=N] [seed=N] [rule=PART OF A NAME]\n";
    return 2;
  }
  const Golds golds = ReadGolds();
  std::vector<Rule> wrong;
  for (const auto& rules : {NumberRules(), WordRules(), StructureRules(), RelationRules(),
                            TrapRules(), ResponseRules()}) {
    wrong.insert(wrong.end(), rules.begin(), rules.end());
  }
  const uint64_t accepted = Run(wrong, settings.mutants, false, golds, settings);
  const uint64_t refused =
      Run(Rewrites(), settings.rewrites, true, golds, settings) + CountUnequalToThemselves(golds);
  std::cout << accepted << " wrong answers accepted, " << refused << " right ones refused\n";
  return accepted == 0 && refused == 0 ? 0 : 1;
}

}  // namespace
}  // namespace attnrl::fuzz

int main(int count, char** arguments) { return attnrl::fuzz::Main(count, arguments); }
