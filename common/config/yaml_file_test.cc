// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/config.h"
#include "common/config/testing/test_file.h"

namespace attnrl::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Case {
  std::string text;
  std::string message;
};
void ExpectErrors(const std::vector<Case>& cases) {
  for (const Case& each : cases) EXPECT_EQ(ErrorOf(each.text), each.message) << each.text;
}

std::string Repeated(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST(YamlFile, HasOneDocument) {
  const std::string begins = "a second document begins here; one is read";
  const std::string second = begins + ", of sections with keys: JSON Lines are a data set";
  ExpectErrors({{"run: {steps: 1}\n---\n\nrun: {seed: 2}\n",
                 "run.yaml:2: " + begins + "; leave the line --- out"},
                {"{\"prompt\": \"1\"}\n{\"prompt\": \"2\"}\n", "run.yaml:2: " + second},
                {"run: {steps: 1}\n...\nrun: {seed: 2}\n", "run.yaml:3: " + second},
                // yaml-cpp never comes to the end of these.
                {"{run: {steps: 1}},\n", "run.yaml:1: " + second},
                {"\n, run: {steps: 1}\n", "run.yaml:2: " + second}});
  for (const char* one : {"---\nrun: {steps: 1}\n", "%YAML 1.2\n---\nrun: {steps: 1}\n...\n",
                          "run: {steps: 1}\n...\n# the end\n"}) {
    EXPECT_EQ(LoadText(one)->run.steps, 1) << one;
  }
}

TEST(YamlFile, MayHoldNothing) {
  for (const char* nothing : {"", "\n\n", "# only a comment\n", "---\n", "~\n", "\xef\xbb\xbf"}) {
    EXPECT_EQ(ToYaml(*LoadText(nothing)), ToYaml(Config())) << nothing;
  }
}

TEST(YamlFile, HasKeysThatAreWordsAndEachOfThemOnce) {
  const std::string twice = " is there twice; each key once";
  const std::string no_word = "run.yaml:1: a key is no word; key: value";
  ExpectErrors({{"run: {steps: 1,\n  \"steps\": 1}\n", "run.yaml:2: key \"run.steps\"" + twice},
                {"run: {steps: 1}\n'run':\n", "run.yaml:2: key \"run\"" + twice},
                {"algorithm:\n  sampling: {}\n  sampling: {batch_min: 1}\n",
                 "run.yaml:3: key \"algorithm.sampling\"" + twice},
                {"? [run]\n: 1\n", no_word},
                {"{run: 1}: 1\n", no_word},
                {"~: 1\n", no_word},
                {": 1\n", no_word}});
}

TEST(YamlFile, ReadsAliasesAsWhatTheyStandFor) {
  const Config config =
      *LoadText("run: {steps: &n 7, seed: *n}\nlearner: {minibatch_problems: *n}");
  EXPECT_EQ(config.run.seed, 7u);
  EXPECT_EQ(config.learner.minibatch_problems, 7);
  EXPECT_EQ(ErrorOf("run:\n  steps: *n\n"),
            "run.yaml:2: not YAML: the referenced anchor is not defined; a YAML file is needed");
  // One that holds itself ends where the sections do.
  EXPECT_THAT(ErrorOf("algorithm: &a {branching: *a}\n"),
              StartsWith("run.yaml:1: unknown key \"algorithm.branching.branching\"; "));
  EXPECT_THAT(ErrorOf("run: &r {steps: 1}\nlearner: {<<: *r}\n"),
              StartsWith("run.yaml:2: unknown key \"learner.<<\"; "));
}

TEST(YamlFile, TellsNoValueFromAnEmptyOne) {
  for (const char* none : {"", "~", "null", "Null", "NULL"}) {
    EXPECT_EQ(ErrorOf("model: {path: " + std::string(none) + "}"),
              "run.yaml:1: model.path has no value; a path");
  }
  EXPECT_EQ(ErrorOf("data:\n  eval:\n"), "run.yaml:2: data.eval has no value; a list of paths");
  EXPECT_EQ(LoadText("model: {path: '', chat_template: \"\"}")->model.path, "");
  EXPECT_EQ(LoadText("model: {chat_template: 'null'}")->model.chat_template, "null");
}

TEST(YamlFile, TakesQuotedNumbersAndTruthsForText) {
  const std::string number = "; a whole number from 1 to 1000000000";
  ExpectErrors({{"run: {steps: '5'}", "run.yaml:1: run.steps is \"5\"" + number},
                {"run:\n  steps: |\n    5\n", "run.yaml:2: run.steps is \"5\\n\"" + number},
                {"rollout: {deterministic: \"true\"}",
                 "run.yaml:1: rollout.deterministic is \"true\"; true or false"},
                {"rollout: {deterministic: True}",
                 "run.yaml:1: rollout.deterministic is \"True\"; true or false"}});
  EXPECT_EQ(LoadText("pipeline: {mode: \"sequential\"}")->pipeline.mode,
            pipeline::PipelineMode::kSequential);
  EXPECT_EQ(LoadText("data: {prompt_suffix: 5}")->data.prompt_suffix, "5");
}

TEST(YamlFile, ReadsTextsInEveryStyle) {
  const auto suffix = [](const std::string& value) {
    return LoadText("data:\n  prompt_suffix: " + value + "\n")->data.prompt_suffix;
  };
  EXPECT_EQ(suffix("a#b c # a comment"), "a#b c");
  EXPECT_EQ(suffix("'it''s \\n'"), "it's \\n");
  EXPECT_EQ(suffix(R"("\x1b \u00e9 \t")"), "\x1b \u00e9 \t");
  EXPECT_EQ(suffix("|\n    two\n    lines"), "two\nlines\n");
  EXPECT_EQ(suffix(">-\n    one\n    line"), "one line");
  EXPECT_EQ(suffix("caf\xe9"), "caf\xe9");  // paths of old file systems are no UTF-8
}

TEST(YamlFile, ReadsListsInBothStyles) {
  const auto eval = [](const std::string& value) {
    return LoadText("data: {eval: " + value + "}\n")->data.eval;
  };
  EXPECT_THAT(eval("[/a, '/b, c', \"/~\"]"), ElementsAre("/a", "/b, c", "/~"));
  EXPECT_THAT(eval("[/a, ]"), ElementsAre("/a"));
  EXPECT_THAT(eval("/a"), ElementsAre("/a"));
  EXPECT_TRUE(eval("[]").empty());
  EXPECT_THAT(LoadText("data:\n  eval:\n  - /a\n  - /b\n")->data.eval, ElementsAre("/a", "/b"));
  for (const char* wrong : {"[[/a]]", "[/a,, /b]", "[~]", "[{a: b}]", "{a: b}"}) {
    EXPECT_EQ(ErrorOf("data: {eval: " + std::string(wrong) + "}"),
              "run.yaml:1: data.eval is no plain value; a list of paths");
  }
  for (const char* wrong : {"''", "[/a, '']", "[\"/a\\0b\"]"}) {
    EXPECT_THAT(ErrorOf("data: {eval: " + std::string(wrong) + "}"), HasSubstr("; a list of paths"))
        << wrong;
  }
}

TEST(YamlFile, IsRefusedWithItsLineWhereItIsNoYaml) {
  const std::string needed = "; a YAML file is needed";
  ExpectErrors(
      {{"run:\n  steps: 1\n   seed: 2\n", "run.yaml:3: not YAML: illegal map value" + needed},
       {"run: {steps: 1}}\n", "run.yaml:1: not YAML: illegal flow end" + needed},
       {"run: {steps: 1} seed\n", "run.yaml:1: not YAML: end of map not found" + needed},
       {"%YAML 3.0\n---\n", "run.yaml:1: not YAML: YAML major version too large" + needed},
       {"hello\n",
        "run.yaml:1: the file is a text, no configuration; sections with keys, such as "
        "run: {steps: 100}"},
       {"algorithm:\n  sampling: [1]\n",
        "run.yaml:2: algorithm.sampling is a section, not a value; keys with values are needed"}});
}

TEST(YamlFile, MayHaveTabsBesideValuesButNotAsIndent) {
  EXPECT_EQ(LoadText("run:\n  steps:\t1\t# one\n")->run.steps, 1);
  EXPECT_EQ(LoadText("run:\r\n  steps: 1\r\n")->run.steps, 1);
  EXPECT_THAT(ErrorOf("run:\n\tsteps: 1\n"), StartsWith("run.yaml:2: not YAML: "));
}

TEST(YamlFile, HoldsNoControlCharacters) {
  const auto message = [](const std::string& character) {
    return "run.yaml:2: holds the control character " + character +
           "; text in UTF-8; in double quotes \\x.. stands for such a character";
  };
  const std::string nul(1, '\0');
  ExpectErrors({{"data:\n  prompt_suffix: a" + nul + "b\n", message("\\x00")},
                {"run:\n  steps: 1 # " + nul, message("\\x00")},
                {"run: {steps: 1}\n\x04\n", message("\\x04")},
                {"run: {steps: 1}\n# \x1b[2J", message("\\x1b")}});
  EXPECT_EQ(ErrorOf("data: {prompt_suffix: \"a\\0b\"}"),
            "run.yaml:1: data.prompt_suffix is \"a\\x00b\"; text");
}

TEST(YamlFile, MayNestHoweverDeeply) {
  constexpr int kDeep = 100'000;
  for (const char* open : {"[", "{a: ", "- ", "? "}) {
    EXPECT_THAT(ErrorOf("data:\n  eval: " + Repeated(open, kDeep)), StartsWith("run.yaml:2: "))
        << open;
  }
}

TEST(YamlFile, HasAtMostOneMebibyte) {
  constexpr size_t kMost = size_t{1} << 20;
  const std::string keys = "run: {steps: 1}\n#";
  EXPECT_EQ(LoadText(keys + std::string(kMost - keys.size(), 'x'))->run.steps, 1);
  const std::string message = "is too long; a configuration has at most 1048576 bytes";
  EXPECT_EQ(ErrorOf(keys + std::string(kMost - keys.size() + 1, 'x')), "run.yaml: " + message);
  // It has no end: reading stops at the limit.
  EXPECT_EQ(Load("/dev/zero", {}, {}).status().message(), "/dev/zero: " + message);
}

TEST(YamlFile, MayHaveUnknownKeysOfAnyLength) {
  const std::string all = "; there is run, model, data, algorithm, pipeline, rollout, scheduler, ";
  for (const char* part : {"a", "."}) {
    const std::string shown = Repeated(part, 80) + "...";
    EXPECT_THAT(ErrorOf("? " + Repeated(part, 1'000'000) + "\n: 1\n"),
                StartsWith("run.yaml:1: unknown key \"" + shown + "\"" + all));
  }
}

TEST(PlainLists, AreThoseOfTheFile) {
  const auto eval = [](const std::string& value) {
    return LoadText("", {"data.eval=" + value})->data.eval;
  };
  EXPECT_THAT(eval("[/a, '/b, c', \"/~\"] # two"), ElementsAre("/a", "/b, c", "/~"));
  EXPECT_THAT(eval("/a, /b"), ElementsAre("/a, /b"));
  EXPECT_TRUE(eval("[]").empty());
  for (const char* wrong : {"[/a] /b", "[/a], /b", "[/a]\n---\n[/b]", "[~]", "[[/a]]", "[a: b]",
                            "[/a", "[/a]]", "[*a]", "[/a]: 1"}) {
    EXPECT_EQ(ErrorOf("", {}, {{"ATTNRL_DATA_EVAL", wrong}}),
              "ATTNRL_DATA_EVAL: data.eval is \"" + OneLine(wrong) + "\"; a list of paths");
  }
}

}  // namespace
}  // namespace attnrl::config
