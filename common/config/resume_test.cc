// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/config/key.h"
#include "common/config/testing/key_values.h"

namespace attnrl::config {
namespace {

// The table of common/config/README.md, "Resume", in its own words.
bool MayDiffer(const std::string& name) {
  static const std::set<std::string> kNames = {"run.steps",
                                               "run.max_empty_batches",
                                               "rollout.workers",
                                               "rollout.threads",
                                               "rollout.slots",
                                               "rollout.kv_cache_bytes",
                                               "rollout.resident_versions",
                                               "rollout.weights_folder",
                                               "learner.address",
                                               "observe.log_level",
                                               "observe.console_level",
                                               "observe.metrics_address",
                                               "observe.peak_flops",
                                               "observe.records",
                                               "observe.trees",
                                               "observe.trees_kept",
                                               "learner.checkpoint_every",
                                               "learner.checkpoint_layers",
                                               "learner.offload_optimizer",
                                               "learner.offload_reference",
                                               "learner.ranks",
                                               "learner.rank_timeout_seconds",
                                               "learner.send_bytes_per_second",
                                               "learner.checkpoints_kept",
                                               "learner.checkpoints_best",
                                               "run.id",
                                               "observe.health_address"};
  return kNames.contains(name) || absl::StartsWith(name, "security.") ||
         absl::StartsWith(name, "scheduler.") || absl::StartsWith(name, "verifier.");
}

// A value of the key that is not the default; empty where it has no other.
std::string Other(const Key& key) {
  for (const std::string& value : AllowedValues(key)) {
    if (key.Print(With(key, value)) != key.Print(Config())) return value;
  }
  return "";
}

std::string Difference(const Key& key, const Config& before, const Config& now) {
  return absl::StrCat(key.name(), " (was ", key.Print(before), ", is ", key.Print(now), ")");
}

std::string Refusal(const std::string& differences) {
  return absl::StrCat("--resume: other settings than the run began with: ", differences,
                      "; restore these settings, or start a new run in another --run-dir");
}

TEST(CheckResume, NamesAnyKeyThatDiffersButThoseThatMay) {
  size_t fixed = 0;
  for (const auto& key : Schema()) {
    const std::string other = Other(*key);
    if (other.empty()) {
      EXPECT_EQ(key->name(), "learner.correction") << "has one word; this one has more";
      continue;
    }
    const Config now = With(*key, other);
    const absl::Status status = CheckResume(Config(), now);
    if (MayDiffer(key->name())) {
      EXPECT_TRUE(status.ok()) << status;
      continue;
    }
    ++fixed;
    EXPECT_TRUE(IsInputError(status)) << key->name();
    EXPECT_EQ(status.message(), Refusal(Difference(*key, Config(), now)));
  }
  EXPECT_GT(fixed, 50u);
}

TEST(CheckResume, NamesAllThatDifferInTheOrderOfTheSchema) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    RandomStream random({.seed = seed});
    Config before;
    Config now;
    std::vector<std::string> differences;
    for (const auto& key : Schema()) {
      const std::string other = Other(*key);
      const uint64_t draw = random.Below(8);
      if (other.empty() || draw > 2) continue;
      // One of the two has the other value, or both have.
      const Written written = ParsePlain(*key, other);
      EXPECT_TRUE(draw == 0 || key->Set(written, "/", &before));
      EXPECT_TRUE(draw == 1 || key->Set(written, "/", &now));
      if (draw == 2 || MayDiffer(key->name())) continue;
      differences.push_back(Difference(*key, before, now));
    }
    const absl::Status status = CheckResume(before, now);
    ASSERT_FALSE(differences.empty());
    EXPECT_EQ(status.message(), Refusal(absl::StrJoin(differences, ", "))) << seed;
    EXPECT_TRUE(CheckResume(now, now).ok());
  }
}

TEST(Fingerprint, HoldsTheKeysThatMayNotDifferAndNoOther) {
  const std::map<std::string, std::string> fingerprint = Fingerprint(Config());
  for (const auto& key : Schema()) {
    EXPECT_NE(fingerprint.contains(key->name()), MayDiffer(key->name())) << key->name();
  }
  EXPECT_EQ(fingerprint.at("learner.learning_rate"), "1.0e-06");
  EXPECT_EQ(fingerprint.at("data.eval"), "[]");
}

TEST(Fingerprint, IsEqualWhereAndOnlyWhereARunMayGoOn) {
  const std::map<std::string, std::string> begun = Fingerprint(Config());
  for (const auto& key : Schema()) {
    for (const std::string& value : AllowedValues(*key)) {
      const Config now = With(*key, value);
      EXPECT_EQ(Fingerprint(now) == begun, CheckResume(Config(), now).ok()) << key->name();
    }
  }
}

}  // namespace
}  // namespace attnrl::config
