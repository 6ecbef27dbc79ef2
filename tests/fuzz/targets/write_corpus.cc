// SPDX-License-Identifier: Apache-2.0
// Writes the inputs that a fuzzer starts with: built-in answers, spellings and mutants of them.
//   write_corpus extraction|reading|deciding FOLDER
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

void Write(const std::string& folder, const std::string& name, const std::string& bytes) {
  std::ofstream(folder + "/" + name, std::ios::binary) << bytes;
}

int Main(int count, char** arguments) {
  const std::string_view target = count == 3 ? arguments[1] : "";
  if (target != "extraction" && target != "reading" && target != "deciding") {
    std::cerr << "write_corpus extraction|reading|deciding FOLDER\n";
    return 2;
  }
  const std::string folder = arguments[2];
  std::filesystem::create_directories(folder);
  std::vector<Rule> rules = Rewrites();
  for (const auto& more : {NumberRules(), WordRules(), StructureRules(), RelationRules(),
                           TrapRules(), ResponseRules()}) {
    rules.insert(rules.end(), more.begin(), more.end());
  }
  uint32_t written = 0;
  for (const std::string& text : BuiltInGolds()) {
    const Gold gold = Describe(text);
    for (size_t i = 0; i < rules.size(); ++i) {
      RandomStream random({.seed = 1, .position = written, .node = static_cast<uint32_t>(i)});
      const std::optional<std::string> made = rules[i].make(gold, random);
      // Whole responses are for extraction, contents of boxes for the others.
      if (!made || (rules[i].response != (target == "extraction") && i % 8 != 0)) continue;
      const bool pair = target == "deciding";
      Write(folder, "seed-" + std::to_string(written++),
            pair ? *made + std::string(1, '\0') + text : *made);
    }
  }
  std::cout << written << " inputs in " << folder << "\n";
  return 0;
}

}  // namespace
}  // namespace attnrl::fuzz

int main(int count, char** arguments) { return attnrl::fuzz::Main(count, arguments); }
