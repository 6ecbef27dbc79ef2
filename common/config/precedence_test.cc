// SPDX-License-Identifier: Apache-2.0
// Which source's value stands: default < file < environment < --set, and presets between them.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/config.h"
#include "common/config/key.h"
#include "common/config/testing/key_values.h"
#include "common/config/testing/test_file.h"

namespace attnrl::config {
namespace {

enum Source { kFile, kEnvironment, kSet };
constexpr std::array kSources = {kFile, kEnvironment, kSet};

// What is said where. Keys of the file are in the order in which they came.
class Sources {
 public:
  Sources& Say(Source source, const std::string& name, const std::string& value) {
    const Key& key = *FindKey(name);
    if (source == kFile) file_.emplace_back(&key, value);
    if (source == kEnvironment) variables_[key.variable()] = value;
    if (source == kSet) sets_.push_back(absl::StrCat(name, "=", value));
    return *this;
  }
  absl::StatusOr<Config> Load() const { return LoadText(Yaml(), sets_, variables_); }
  std::string Error() const { return ErrorOf(Yaml(), sets_, variables_); }

 private:
  // Two keys at most: both of algorithm, or one alone.
  std::string Yaml() const {
    if (file_.empty()) return "";
    std::string yaml = YamlOf(*file_[0].first, file_[0].second);
    if (file_.size() == 1) return yaml;
    const std::string second = YamlOf(*file_[1].first, file_[1].second);
    const size_t brace = second.find('{');
    return absl::StrCat(yaml.substr(0, yaml.rfind('}')), ", ", second.substr(brace + 1));
  }

  std::vector<std::pair<const Key*, std::string>> file_;
  Variables variables_;
  std::vector<std::string> sets_;
};

std::string Printed(const absl::StatusOr<Config>& config, const std::string& name) {
  return config.ok() ? FindKey(name)->Print(*config) : config.status().ToString();
}

TEST(Precedence, OfEveryKeyIsThatOfItsStrongestSource) {
  size_t keys = 0;
  for (const auto& key : Schema()) {
    const std::vector<std::string> values = AllowedValues(*key);
    if (values.size() < 2 || !Validate(With(*key, values[0])).ok() ||
        !Validate(With(*key, values[1])).ok()) {
      continue;  // only one value is valid beside the other keys' defaults
    }
    ++keys;
    for (const Source weak : kSources) {
      for (const Source strong : {kEnvironment, kSet}) {
        if (strong <= weak) continue;
        for (const size_t first : {0, 1}) {
          const auto config = Sources()
                                  .Say(weak, key->name(), values[first])
                                  .Say(strong, key->name(), values[1 - first])
                                  .Load();
          EXPECT_EQ(Printed(config, key->name()), key->Print(With(*key, values[1 - first])));
        }
      }
    }
  }
  EXPECT_GT(keys, 60u);
}

TEST(Precedence, DoesNotHideAWrongValueOfAWeakerSource) {
  const std::string allowed = "; a whole number from 1 to 1000000000";
  EXPECT_EQ(Sources().Say(kFile, "run.steps", "0").Say(kSet, "run.steps", "5").Error(),
            "run.yaml:1: run.steps is \"0\"" + allowed);
  EXPECT_EQ(Sources().Say(kEnvironment, "run.steps", "0").Say(kSet, "run.steps", "5").Error(),
            "ATTNRL_RUN_STEPS: run.steps is \"0\"" + allowed);
  EXPECT_EQ(Sources().Say(kSet, "run.steps", "0").Say(kSet, "run.steps", "5").Error(),
            "--set run.steps=0: run.steps is \"0\"" + allowed);
}

// A key that a preset sets, a preset, its value of that key, and another that may stand beside it.
struct Part {
  const char* key;
  const char* preset;
  const char* of_preset;
  const char* other;
};
constexpr Part kParts[] = {
    {"algorithm.branching.criterion", "treerl", "entropy", "random"},
    {"algorithm.branching.criterion", "attnrl", "fci", "earliest"},
    {"algorithm.sampling.adaptive_batch", "grpo", "false", "true"},
    {"algorithm.sampling.filter_solved", "treerl", "false", "true"},
    {"algorithm.sampling.difficulty_expansion", "attnrl", "true", "false"},
    {"algorithm.sampling.expand", "attnrl", "difficulty", "minority"},
    {"algorithm.sampling.expand", "treerl", "all", "minority"},
};

TEST(Presets, WinOverKeysOfWeakerSourcesOnly) {
  for (const Part& part : kParts) {
    for (const Source preset : kSources) {
      for (const Source source : kSources) {
        const std::string expected = source >= preset ? part.other : part.of_preset;
        // Within a source the order does not matter.
        const auto preset_first = Sources()
                                      .Say(preset, "algorithm.name", part.preset)
                                      .Say(source, part.key, part.other)
                                      .Load();
        const auto key_first = Sources()
                                   .Say(source, part.key, part.other)
                                   .Say(preset, "algorithm.name", part.preset)
                                   .Load();
        EXPECT_EQ(Printed(preset_first, part.key), expected) << preset << source;
        EXPECT_EQ(Printed(key_first, part.key), expected) << preset << source;
        EXPECT_EQ(Printed(key_first, "algorithm.name"), part.preset);
      }
    }
  }
}

TEST(Presets, AreThatOfTheStrongestSourceThatNamesOne) {
  for (const char* weak : {"attnrl", "treerl", "grpo"}) {
    for (const char* strong : {"attnrl", "treerl", "grpo"}) {
      const auto alone = Sources().Say(kSet, "algorithm.name", strong).Load();
      ASSERT_TRUE(alone.ok());
      for (const auto& [low, high] : {std::pair(kFile, kEnvironment), std::pair(kFile, kSet),
                                      std::pair(kEnvironment, kSet), std::pair(kSet, kSet)}) {
        const auto both =
            Sources().Say(low, "algorithm.name", weak).Say(high, "algorithm.name", strong).Load();
        ASSERT_TRUE(both.ok()) << both.status();
        EXPECT_EQ(ToYaml(*both), ToYaml(*alone)) << weak << strong << low << high;
      }
    }
  }
}

TEST(Presets, LeaveTheKeysAloneThatAreNotTheirs) {
  for (const auto& key : Schema()) {
    const std::string value = AllowedValues(*key).back();
    Config preset;
    const std::vector<std::string> own = ApplyPreset(AlgorithmName::kGrpo, &preset);
    if (std::find(own.begin(), own.end(), key->name()) != own.end()) continue;
    const auto config =
        Sources().Say(kFile, key->name(), value).Say(kSet, "algorithm.name", "grpo").Load();
    if (!config.ok()) continue;  // against a rule between keys
    EXPECT_EQ(Printed(config, key->name()), key->Print(With(*key, value)));
  }
}

TEST(Presets, AreNamedWhereTheirValueBreaksARule) {
  EXPECT_EQ(Sources()
                .Say(kFile, "algorithm.branching.criterion", "none")
                .Say(kEnvironment, "algorithm.advantages", "group")
                .Say(kSet, "algorithm.name", "treerl")
                .Say(kSet, "algorithm.branching.criterion", "none")
                .Error(),
            "--set algorithm.name=treerl: algorithm.advantages is tree; group, as no response "
            "branches");
}

TEST(Variables, AreTheWholeNameInUpperCase) {
  const Config config = *LoadText("", {},
                                  {{"ATTNRL_RUN_STEPS", "7"},
                                   {"ATTNRL_run_seed", "8"},
                                   {"ATTNRL_RUN", "8"},
                                   {"ATTNRL_RUN_SEED_", "8"},
                                   {"ATTNRL_IMAGE_TAG", "8"},
                                   {"ATTNRL_KILL_SECONDS", "8"},
                                   {"XATTNRL_RUN_SEED", "8"},
                                   {"RUN_SEED", "8"}});
  EXPECT_EQ(config.run.steps, 7);
  EXPECT_EQ(config.run.seed, 0u);
  EXPECT_EQ(
      config.ignored_variables,
      (std::vector<std::string>{"ATTNRL_RUN", "ATTNRL_RUN_SEED_ (did you mean ATTNRL_RUN_SEED?)",
                                "ATTNRL_run_seed (did you mean ATTNRL_RUN_SEED?)"}));
}

TEST(Variables, OfEveryKeySetItAlone) {
  for (const auto& key : Schema()) {
    const std::string value = AllowedValues(*key).back();
    const Config expected = With(*key, value);
    if (!Validate(expected).ok() || key->name() == "algorithm.name") continue;
    const auto config = LoadText("", {}, {{key->variable(), value}});
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(ToYaml(*config), ToYaml(expected)) << key->variable();
    EXPECT_TRUE(config->ignored_variables.empty());
  }
}

// Two keys that say the same thing: what one is where the other has a value.
TEST(Pairs, FollowWhicheverOfTheTwoTheStrongestSourceNames) {
  struct Case {
    const char* key;
    const char* value;
    const char* other;
    const char* expected;
  };
  for (const Case& each :
       {Case{"algorithm.sampling.expand", "all", "algorithm.sampling.difficulty_expansion",
             "false"},
        {"algorithm.sampling.expand", "minority", "algorithm.sampling.difficulty_expansion",
         "false"},
        {"algorithm.sampling.difficulty_expansion", "false", "algorithm.sampling.expand", "all"},
        {"learner.overlong", "mask", "learner.mask_truncated", "true"},
        {"learner.mask_truncated", "true", "learner.overlong", "mask"},
        {"learner.steps_per_batch", "4", "learner.minibatch_problems", "0"}}) {
    for (const Source source : kSources) {
      EXPECT_EQ(Printed(Sources().Say(source, each.key, each.value).Load(), each.other),
                each.expected)
          << each.key;
    }
  }
  const auto config = Sources()
                          .Say(kFile, "learner.steps_per_batch", "4")
                          .Say(kSet, "learner.minibatch_problems", "16")
                          .Load();
  EXPECT_EQ(Printed(config, "learner.steps_per_batch"), "0");
  EXPECT_EQ(Printed(Sources()
                        .Say(kFile, "learner.mask_truncated", "true")
                        .Say(kEnvironment, "learner.overlong", "none")
                        .Load(),
                    "learner.mask_truncated"),
            "false");
}

TEST(Pairs, AreRefusedWhereOneSourceContradictsItself) {
  EXPECT_EQ(ErrorOf("learner: {mask_truncated: true, overlong: none}"),
            "run.yaml:1: learner.overlong is none; mask, as mask_truncated is true");
  EXPECT_EQ(ErrorOf("learner:\n  mask_truncated: false\n  overlong: mask\n"),
            "run.yaml:3: learner.overlong is mask; not that, as mask_truncated is false");
  EXPECT_EQ(ErrorOf("algorithm: {sampling: {difficulty_expansion: true, expand: all}}"),
            "run.yaml:1: algorithm.sampling.expand is all; difficulty, as difficulty_expansion is "
            "true");
  EXPECT_EQ(ErrorOf("learner: {minibatch_problems: 32}",
                    {"learner.steps_per_batch=4", "learner.minibatch_problems=8"}),
            "--set learner.steps_per_batch=4: learner.steps_per_batch is 4; 0, as "
            "minibatch_problems is 8, and only one of them says how a batch is cut");
  EXPECT_EQ(ErrorOf("learner: {minibatch_problems: 0}"),
            "run.yaml:1: learner.minibatch_problems is 0; more than 0, or steps_per_batch more "
            "than 0");
  EXPECT_TRUE(LoadText("learner: {mask_truncated: true, overlong: mask}").ok());
  EXPECT_TRUE(LoadText("learner: {minibatch_problems: 0, steps_per_batch: 2}").ok());
}

}  // namespace
}  // namespace attnrl::config
