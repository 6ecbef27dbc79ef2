// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/config/config.h"
#include "common/config/key.h"
#include "common/config/testing/key_values.h"
#include "common/config/testing/test_file.h"

namespace attnrl::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Validate, AcceptsTheDefaults) { EXPECT_TRUE(Validate(Config()).ok()); }

TEST(Validate, NamesTheRuleBetweenKeysAtTheSourceOfTheKeyThatBreaksIt) {
  const std::string sampling = "algorithm.sampling.";
  const std::vector<std::vector<std::string>> cases = {
      {"algorithm: {name: grpo,\n  branching: {criterion: earliest}}",
       "run.yaml:2: algorithm.branching.criterion is earliest; none, as grpo does not branch; "
       "algorithm.name: treerl does"},
      {"algorithm:\n  name: treerl\n  advantages: group\n",
       "run.yaml:3: algorithm.advantages is group; tree, as responses branch"},
      // The preset's own value, at the place of the preset.
      {"algorithm:\n  name: treerl\n  branching:\n    criterion: none\n",
       "run.yaml:2: algorithm.advantages is tree; group, as no response branches"},
      {"algorithm: {name: grpo}", sampling + "filter_solved=true",
       "is true; false, as no response branches"},
      {"algorithm: {name: grpo}", sampling + "drop_all_solved=true",
       "is true; false, as no response branches"},
      {"algorithm: {name: grpo}", sampling + "difficulty_expansion=true",
       "is true; false, as no response branches"},
      {"algorithm: {name: grpo}", sampling + "expand=minority",
       "is minority; all, as no response branches"},
      {"algorithm: {name: grpo}", sampling + "train_unexpanded=true",
       "is true; false, as no response branches"},
      {"learner: {overlong: shape}", "learner.overlong_buffer=9000",
       "is 9000; at most rollout.max_response_tokens, which is 8192"},
      {"algorithm: {branching: {steps: sentence}}", "rollout.fci_method=online",
       "is online; recompute or auto, as the end of a sentence is known a token later"},
      {"", sampling + "batch_min=1025", "is 1025; at most batch_max, which is 1024"},
      {"algorithm: {name: grpo}", sampling + "initial_responses=1",
       "is 1; at least 2, as a group is compared with itself"},
      {"rollout: {device: cuda}", "rollout.deterministic=true",
       "is true; false, as rollout.device is cuda, and only the cpu computes in a fixed order"},
      {"learner: {device: cuda}", "learner.deterministic=true",
       "is true; false, as learner.device is cuda, and only the cpu computes in a fixed order"},
      {"learner: {ranks: 2}", "learner.device=cuda:1",
       "is cuda:1; cpu, or cuda, which gives each of the 2 ranks a GPU of its own"},
      {"", "learner.offload_optimizer=cpu",
       "is cpu; none, as learner.device is cpu, whose memory the moments lie in anyway"},
      {"learner: {warmup_steps: 5}", "learner.decay_after=4",
       "is 4; 0, or at least warmup_steps, which is 5"},
      {"learner: {decay_steps: 9}", "learner.decay=cosine",
       "is cosine; linear, or decay_after more than 0, as with 0 the learning rate never decays"},
      {"", "learner.decay_to=0",
       "is 0; 0.1, or decay_after more than 0, as with 0 the learning rate never decays"},
      {"", "learner.offload_reference=cpu",
       "is cpu; none or disk, as learner.device is cpu, whose memory the reference model lies in "
       "anyway"},
      {"", "rollout.device=cuda:100", "is \"cuda:100\"; cpu | cuda | cuda:N"},
      {"", "rollout.temperature=1e-7", "is 1.0e-07; 0, or at least 1e-06"},
      {"", "rollout.top_p=0.9", "is 0.9; 1 in training"},
      {"", "rollout.top_k=50", "is 50; 0 (all tokens) in training"}};
  for (const std::vector<std::string>& each : cases) {
    if (each.size() == 2) {
      EXPECT_EQ(ErrorOf(each[0]), each[1]);
      continue;
    }
    const std::string key = each[1].substr(0, each[1].find('='));
    EXPECT_EQ(ErrorOf(each[0], {each[1]}), "--set " + each[1] + ": " + key + " " + each[2]);
  }
}

TEST(Validate, NamesADefaultThatBreaksARuleByItsKeyAlone) {
  // batch_max alone is set; batch_min is wrong because of it, and nobody has set that.
  Config config;
  config.algorithm.sampling.batch_min = 9;
  config.algorithm.sampling.batch_max = 8;
  EXPECT_EQ(Validate(config).message(),
            "algorithm.sampling.batch_min: is 9; at most batch_max, which is 8");
  EXPECT_EQ(ErrorOf("algorithm: {sampling: {batch_min: 9}}", {"algorithm.sampling.batch_max=8"}),
            "run.yaml:1: algorithm.sampling.batch_min is 9; at most batch_max, which is 8");
}

TEST(Validate, LetsEveryCriterionAndSwitchThroughWhereResponsesBranch) {
  for (const char* criterion : {"fci", "entropy", "random", "fixed_length", "earliest"}) {
    for (const char* name : {"attnrl", "treerl"}) {
      EXPECT_TRUE(LoadText(absl::StrCat("algorithm: {name: ", name,
                                        ", branching: {criterion: ", criterion, "}}"))
                      .ok())
          << criterion;
    }
  }
  EXPECT_TRUE(LoadText("algorithm: {name: treerl, sampling: {drop_all_solved: true}}").ok());
  EXPECT_TRUE(LoadText("algorithm: {name: grpo, sampling: {adaptive_batch: true}}").ok());
  EXPECT_TRUE(LoadText("algorithm: {name: treerl, sampling: {initial_responses: 1}}").ok());
  EXPECT_TRUE(LoadText("algorithm: {sampling: {batch_min: 7, batch_max: 7}}").ok());
}

TEST(Validate, LetsTheLearningRateDecayFromTheEndOfTheWarmUpOn) {
  const char* decay = "learner: {warmup_steps: 5, decay_after: 5, decay: cosine, decay_to: 0}";
  EXPECT_EQ(LoadText(decay).status(), absl::OkStatus());
  EXPECT_EQ(LoadText("learner: {decay_after: 1, decay_to: 1}").status(), absl::OkStatus());
  EXPECT_EQ(LoadText("learner: {warmup_steps: 5}").status(), absl::OkStatus());
}

// The next number outside on either side, as text.
std::vector<std::string> JustOutside(const Key& key) {
  const std::vector<std::string> bounds = AllowedValues(key);
  if (key.Allowed().rfind("a whole number", 0) == 0) {
    uint64_t high = 0;
    EXPECT_TRUE(absl::SimpleAtoi(bounds[1], &high));
    const bool largest = high == std::numeric_limits<uint64_t>::max();
    return {bounds[0] == "0" ? "-1" : "0",
            largest ? "18446744073709551616" : absl::StrCat(high + 1)};
  }
  double low = 0;
  double high = 0;
  EXPECT_TRUE(absl::SimpleAtod(bounds[0], &low) && absl::SimpleAtod(bounds[1], &high));
  return {low == 0 ? "-1e-12" : absl::StrCat(low / 2), absl::StrCat(high * 1.001), "nan", "inf"};
}

TEST(EveryKey, TakesItsBoundsAndNothingBeyondThem) {
  size_t numbers = 0;
  for (const auto& key : Schema()) {
    if (!IsNumber(*key)) continue;
    ++numbers;
    for (const std::string& bound : AllowedValues(*key)) With(*key, bound);
    for (const std::string& outside : JustOutside(*key)) {
      const std::string set = key->name() + "=" + outside;
      EXPECT_EQ(ErrorOf("", {set}), absl::StrCat("--set ", set, ": ", key->name(), " is \"",
                                                 outside, "\"; ", key->Allowed()));
    }
  }
  EXPECT_GT(numbers, 40u);
}

TEST(EveryKey, RefusesAnotherTypeAtEachSourceByName) {
  for (const auto& key : Schema()) {
    // Texts, names and paths take any one value, lists of paths no empty one.
    const std::string allowed = key->Allowed();
    const bool any_text = allowed == "text" || absl::StartsWith(allowed, "a path") ||
                          absl::StrContains(allowed, "letters");
    const bool list = allowed == "a list of paths";
    const std::string wrong = any_text ? "[x]" : list ? "''" : "what";
    const std::string found = any_text ? " is [x]; " : list ? " is \"\"; " : " is \"what\"; ";
    EXPECT_EQ(ErrorOf("# first\n" + YamlOf(*key, wrong)),
              "run.yaml:2: " + key->name() + found + allowed);
    if (any_text || list) continue;
    EXPECT_EQ(ErrorOf("", {}, {{key->variable(), wrong}}),
              key->variable() + ": " + key->name() + found + allowed);
  }
}

TEST(Validate, ChecksValuesThatAProgramAssigned) {
  struct Case {
    std::function<void(Config*)> assign;
    std::string message;
  };
  const std::string whole = "; a whole number from 1 to ";
  const std::vector<Case> cases = {
      {[](Config* c) { c->learner.learning_rate = std::numeric_limits<double>::quiet_NaN(); },
       "learner.learning_rate: is nan; a number from 0 to 1"},
      {[](Config* c) { c->learner.beta2 = 1; }, "learner.beta2: is 1; a number from 0 to 0.999999"},
      {[](Config* c) { c->rollout.slots = 0; }, "rollout.slots: is 0" + whole + "65536"},
      {[](Config* c) { c->run.steps = -1; }, "run.steps: is -1" + whole + "1000000000"},
      {[](Config* c) { c->model.dtype = "float16"; },
       "model.dtype: is float16; auto | float32 | bfloat16"},
      {[](Config* c) { c->pipeline.mode = static_cast<pipeline::PipelineMode>(9); },
       "pipeline.mode: is 9; overlapped | sequential | on_policy"},
      {[](Config* c) { c->scheduler.address = "nowhere"; },
       "scheduler.address: is \"nowhere\"; unix:/path or host:port"},
      {[](Config* c) { c->observe.metrics_address = ""; },
       "observe.metrics_address: is \"\"; host:port, port 0 takes a free one"},
      {[](Config* c) { c->data.train = std::string("/a\0b", 4); },
       "data.train: is \"/a\\x00b\"; a path"},
      {[](Config* c) {
         c->data.eval = {"/a", ""};
       },
       "data.eval: is [\"/a\", \"\"]; a list of paths"},
      {[](Config* c) { c->data.eval = {std::string("/a\0b", 4)}; },
       "data.eval: is [\"/a\\x00b\"]; a list of paths"}};
  for (const Case& each : cases) {
    Config config;
    each.assign(&config);
    EXPECT_EQ(Validate(config).message(), each.message);
  }
}

TEST(Validate, WantsCertificateKeyAndCaTogether) {
  const std::string all = "security: {certificate: a.crt, key: a.key, ca: system";
  EXPECT_EQ(LoadText(all + "}").status(), absl::OkStatus());
  EXPECT_EQ(ErrorOf("security: {certificate: /a.crt, ca: system}"),
            "security.key: is \"\"; set, as security.certificate is");
  EXPECT_EQ(ErrorOf("security: {ca: system}"),
            "security.certificate: is \"\"; set, as security.ca is");
}

TEST(Validate, TakesOnlyNamesOfRunsThatFitIntoACertificate) {
  for (const char* id : {"a", "math-7B_2.1", "0"}) {
    EXPECT_EQ(LoadText("", {std::string("run.id=") + id}).status(), absl::OkStatus()) << id;
  }
  for (const std::string& id : {std::string(), std::string("a/b"), std::string("a b"),
                                std::string("\xc3\xa9"), std::string(65, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(LoadText("", {"run.id=" + id}).status())) << id;
  }
}

TEST(Load, KeepsTheWordSystemAndMakesAPathOfACaAbsolute) {
  const std::string rest = "certificate: a, key: b}";
  EXPECT_EQ(LoadText("security: {ca: system, " + rest)->security.ca, "system");
  const TestFile file("security: {ca: ca.crt, " + rest);
  EXPECT_EQ(Load(file.path(), {}, {})->security.ca, file.folder() + "/ca.crt");
}

TEST(Validate, AStoreIsUrlWithoutPasswordAndWithTlsBeyondThisMachine) {
  const auto refused = [](const std::vector<std::string>& sets) {
    return std::string(LoadText("", sets).status().message());
  };
  const std::string remote = "scheduler.store=postgres://me@db.example/runs";
  EXPECT_EQ(LoadText("", {remote + "?sslmode=verify-full"}).status(), absl::OkStatus());
  EXPECT_EQ(LoadText("", {remote, "security.allow_plaintext=true"}).status(), absl::OkStatus());
  EXPECT_EQ(LoadText("", {"scheduler.store=postgres:///runs"}).status(), absl::OkStatus());
  EXPECT_EQ(refused({remote}),
            "scheduler.store: may reach PostgreSQL database runs at db.example without TLS; "
            "sslmode=verify-full, or security.allow_plaintext: true to try things out");
  EXPECT_THAT(refused({"scheduler.store=postgres://me:secret@db.example/runs"}),
              AllOf(HasSubstr("scheduler.store: holds a password; none: it is read from the file "
                              "that PGPASSFILE names"),
                    Not(HasSubstr("secret"))));
  EXPECT_THAT(refused({"scheduler.store=postgres:///runs", "scheduler.database=/a"}),
              HasSubstr("empty, as scheduler.store is set"));
  EXPECT_THAT(refused({"scheduler.store=postgres:///runs", "run.id=" + std::string(57, 'a')}),
              HasSubstr("at most 56 letters, as scheduler.store is set"));
}

}  // namespace
}  // namespace attnrl::config
