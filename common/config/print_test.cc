// SPDX-License-Identifier: Apache-2.0
// What the configuration looks like in words: the resolved file, the reference, help.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/nearest.h"
#include "common/base/philox.h"
#include "common/config/config.h"
#include "common/config/key.h"
#include "common/config/testing/key_values.h"
#include "common/config/testing/test_file.h"

namespace attnrl::config {
namespace {

// The lines of the repository's reference file that are neither comments nor empty.
std::vector<std::string> ReferenceLines() {
  std::ifstream file(ATTNRL_SOURCE_DIR "/deploy/local/reference.yaml");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && absl::StripLeadingAsciiWhitespace(line)[0] != '#') lines.push_back(line);
  }
  return lines;
}

// The resolved file where these lines of the reference file are replaced, each of which is there
// once.
std::string Resolved(const std::vector<std::pair<std::string, std::string>>& replaced) {
  std::vector<std::string> lines = ReferenceLines();
  for (const auto& [before, after] : replaced) {
    EXPECT_EQ(std::count(lines.begin(), lines.end(), before), 1) << before;
    std::replace(lines.begin(), lines.end(), before, after);
  }
  return absl::StrCat("# The configuration of this run as resolved: every key, absolute paths.\n",
                      absl::StrJoin(lines, "\n"), "\n");
}

TEST(ToYaml, OfEachPresetIsTheReferenceFileButForWhatThePresetSets) {
  EXPECT_EQ(ToYaml(*LoadText("")), Resolved({}));
  EXPECT_EQ(ToYaml(*LoadText("algorithm: {name: attnrl}")), Resolved({}));
  const std::vector<std::pair<std::string, std::string>> switches = {
      {"    adaptive_batch: true", "    adaptive_batch: false"},
      {"    filter_solved: true", "    filter_solved: false"},
      {"    difficulty_expansion: true", "    difficulty_expansion: false"},
      {"    expand: difficulty", "    expand: all"}};
  auto treerl = switches;
  treerl.emplace_back("  name: attnrl", "  name: treerl");
  treerl.emplace_back("    criterion: fci", "    criterion: entropy");
  EXPECT_EQ(ToYaml(*LoadText("algorithm: {name: treerl}")), Resolved(treerl));
  auto grpo = switches;
  grpo.emplace_back("  name: attnrl", "  name: grpo");
  grpo.emplace_back("    criterion: fci", "    criterion: none");
  grpo.emplace_back("  advantages: tree", "  advantages: group");
  EXPECT_EQ(ToYaml(*LoadText("algorithm: {name: grpo}")), Resolved(grpo));
}

TEST(ToYaml, ReadsBackToTheSameTextWhateverTheKeysAre) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    RandomStream random({.seed = seed});
    Config config;
    for (const auto& key : Schema()) {
      const std::vector<std::string> values = AllowedValues(*key);
      Config changed = config;
      ASSERT_TRUE(key->Set(ParsePlain(*key, values[random.Below(values.size())]), "/", &changed));
      if (Validate(changed).ok()) config = changed;
    }
    const std::string yaml = ToYaml(config);
    const absl::StatusOr<Config> read = LoadText(yaml);
    ASSERT_TRUE(read.ok()) << read.status() << yaml;
    EXPECT_EQ(ToYaml(*read), yaml);
  }
}

TEST(ToYaml, ReadsBackToTheSameBytesOfTextAndBitsOfNumbers) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random({.seed = seed});
    Config config;
    for (uint64_t i = random.Below(40); i > 0; --i) {
      config.data.prompt_suffix += static_cast<char>(1 + random.Below(255));
    }
    config.data.eval = {"/" + absl::StrReplaceAll(config.data.prompt_suffix, {{"/", "_"}})};
    config.learner.learning_rate = random.Uniform() * (random.Below(2) == 0 ? 1 : 1e-9);
    config.run.seed = random.Bits();
    const absl::StatusOr<Config> read = LoadText(ToYaml(config));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->data.prompt_suffix, config.data.prompt_suffix);
    EXPECT_EQ(read->data.eval, config.data.eval);
    EXPECT_EQ(read->learner.learning_rate, config.learner.learning_rate);
    EXPECT_EQ(read->run.seed, config.run.seed);
  }
}

// What help on each key says, from the comments and values of the repository's reference file.
std::map<std::string, std::string> HelpOfReference() {
  std::map<std::string, std::string> help;
  std::vector<std::string> sections;
  std::string comment;
  std::ifstream file(ATTNRL_SOURCE_DIR "/deploy/local/reference.yaml");
  for (std::string line; std::getline(file, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    const std::string text(absl::StripLeadingAsciiWhitespace(line));
    if (text.empty() || absl::StartsWith(text, "# ----")) continue;
    if (text[0] == '#') {
      comment += (comment.empty() ? "" : " ") + text.substr(2);
      continue;
    }
    sections.resize((line.size() - text.size()) / 2);
    const size_t colon = text.find(':');
    const std::string name = absl::StrJoin(sections, ".") + "." + text.substr(0, colon);
    if (colon + 1 == text.size()) {
      sections.push_back(text.substr(0, colon));
    } else {  // "<what it is> (<what is allowed>)"
      const size_t allowed = comment.rfind(" (");
      EXPECT_TRUE(
          help.try_emplace(name,
                           absl::StrCat(name, " (default ", text.substr(colon + 2), "; ",
                                        comment.substr(allowed + 2, comment.size() - allowed - 3),
                                        "): ", comment.substr(0, allowed), "\n"))
              .second)
          << name;
    }
    comment.clear();
  }
  return help;
}

TEST(KeyHelp, SaysOfEveryKeyWhatTheReferenceFileSays) {
  const std::map<std::string, std::string> reference = HelpOfReference();
  for (const auto& key : Schema()) {
    const auto found = reference.find(key->name());
    ASSERT_NE(found, reference.end()) << key->name();
    EXPECT_EQ(*KeyHelp(key->name()), found->second);
  }
  EXPECT_EQ(reference.size(), Schema().size());
}

TEST(KeyHelp, OfASectionIsThatOfItsKeysInTheirOrder) {
  for (const auto& [section, comment] : Sections()) {
    std::string expected;
    for (const auto& key : Schema()) {
      if (absl::StartsWith(key->name(), section + ".")) expected += *KeyHelp(key->name());
    }
    EXPECT_EQ(*KeyHelp(section), expected);
  }
}

TEST(KeyHelp, RefusesWhatIsNeitherAKeyNorASection) {
  const auto refusal = [](const std::string& name) {
    return std::string(KeyHelp(name).status().message());
  };
  const std::string top =
      "there is run, model, data, algorithm, pipeline, rollout, scheduler, verifier, learner, "
      "security, observe, stages";
  EXPECT_EQ(refusal(""), "configuration: unknown key \"\"; " + top);
  EXPECT_EQ(refusal("nothing\nlike it"),
            "configuration: unknown key \"nothing\\nlike it\"; " + top);
  EXPECT_EQ(
      refusal("verifier.timeout"),
      "configuration: unknown key \"verifier.timeout\"; did you mean \"verifier.timeout_ms\"? "
      "in verifier there is address, children, timeout_ms");
  EXPECT_EQ(refusal("algorithm.branching.point"),
            "configuration: unknown key \"algorithm.branching.point\"; did you mean "
            "\"algorithm.branching.points\"? in algorithm.branching there is criterion, choice, "
            "points, children, quantile, min_distance, fill, delta, steps");
}

TEST(Nearest, UndoesASlipOfTheFinger) {
  RandomStream random({.seed = 1});
  for (const auto& key : Schema()) {
    const std::string& name = key->name();
    for (int repeat = 0; repeat < 3; ++repeat) {
      const size_t at = 1 + random.Below(name.size() - 1);
      const std::string before = name.substr(0, at);
      const std::string after = name.substr(at + 1);
      std::string swapped = name;
      std::swap(swapped[at - 1], swapped[at]);
      for (const std::string& slip : {before + after, before + "x" + after, swapped}) {
        // Another key may be as near: beta1 and beta2.
        EXPECT_LE(EditDistance(Nearest(slip), slip), 1u) << slip;
      }
    }
  }
}

TEST(Nearest, FindsTheKeyInAnotherSection) {
  EXPECT_EQ(Nearest("rollout.learning_rate"), "learner.learning_rate");
  // Of the three that have an address, and of the two that have children.
  EXPECT_EQ(Nearest("verifer.address"), "verifier.address");
  EXPECT_EQ(Nearest("verfer.children"), "verifier.children");
  EXPECT_EQ(Nearest("quantile"), "algorithm.branching.quantile");
  EXPECT_EQ(Nearest("algorithm.adaptive_batsh"), "algorithm.sampling.adaptive_batch");
  EXPECT_EQ(Nearest("run.qqqqqqqqqq"), "");
  EXPECT_EQ(Nearest("zzz"), "");
  // So long a name is not compared.
  EXPECT_EQ(Nearest(std::string(60, 'z') + ".learning_rate"), "learner.learning_rate");
  EXPECT_EQ(Nearest(std::string(80, 'z') + ".learning_rate"), "");
}

}  // namespace
}  // namespace attnrl::config
