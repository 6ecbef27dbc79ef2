// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "tests/fuzz/mutants/gold.h"

namespace attnrl::fuzz {

// Makes another text of an accepted answer; nullopt where the rule says nothing about it, or where
// it made the same again.
using Make = std::optional<std::string> (*)(const Gold& gold, RandomStream& random);

struct Rule {
  const char* name;
  Make make;
  // It makes a whole response rather than the content of its box.
  bool response = false;
};

// What they make is another answer for certain: whoever accepts it can be fooled.
std::vector<Rule> NumberRules();
std::vector<Rule> WordRules();
std::vector<Rule> StructureRules();
std::vector<Rule> RelationRules();
std::vector<Rule> TrapRules();
std::vector<Rule> ResponseRules();

// What they make is the same answer for certain.
std::vector<Rule> Rewrites();

// One of `choices`.
template <typename Choices>
auto Pick(const Choices& choices, RandomStream& random) {
  return choices[random.Below(std::size(choices))];
}

}  // namespace attnrl::fuzz
