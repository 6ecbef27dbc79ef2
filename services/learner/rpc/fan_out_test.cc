// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/fan_out.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {
namespace {

using Sources = std::vector<std::string>;

const Version kVersion = {5, "digest"};

std::string First(FanOut& fan_out, const Version& version, const std::string& worker,
                  const std::vector<std::string>& failed) {
  return fan_out.SourcesFor(version, worker, failed)[0];
}

TEST(FanOut, EachSendsToTwoAndTheFirstGetTheirsFromTheLearner) {
  FanOut fan_out;
  std::map<std::string, int> receivers;
  for (int worker = 0; worker < 100; ++worker) {
    ++receivers[First(fan_out, kVersion, absl::StrCat("w", worker), {})];
  }
  EXPECT_EQ(receivers.at(""), 2);
  for (const auto& [source, count] : receivers) EXPECT_LE(count, 2) << source;
  EXPECT_FALSE(receivers.contains("w99"));
}

TEST(FanOut, WhoAsksAgainHasOnePlace) {
  FanOut fan_out;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(First(fan_out, kVersion, "w0", {}), "");
  EXPECT_EQ(First(fan_out, kVersion, "w1", {}), "");
  EXPECT_EQ(First(fan_out, kVersion, "w2", {}), "w0");
  EXPECT_EQ(First(fan_out, {6, "another"}, "w2", {}), "") << "a tree of its own";
}

TEST(FanOut, WhoFailedIsNamedToNobodyAndItsPlaceAtTheLearnerIsFree) {
  FanOut fan_out;
  for (const char* worker : {"w0", "w1", "w2", "w3"}) {
    (void)First(fan_out, kVersion, worker, {});
  }
  EXPECT_EQ(First(fan_out, kVersion, "w2", {"w0"}), "");
  // What w3 has comes by w0, too.
  EXPECT_EQ(First(fan_out, kVersion, "w4", {}), "w1");
  EXPECT_EQ(First(fan_out, kVersion, "w3", {"w0"}), "w1");
}

TEST(FanOut, AllButTheFirstHaveASecondSourceWhichIsNeverTheLearner) {
  FanOut fan_out;
  EXPECT_EQ(fan_out.SourcesFor(kVersion, "w0", {}), (Sources{""}));
  EXPECT_EQ(fan_out.SourcesFor(kVersion, "w1", {}), (Sources{"", "w0"}));
  EXPECT_EQ(fan_out.SourcesFor(kVersion, "w2", {}), (Sources{"w0", "w1"}));
  std::map<std::string, int> receivers;
  for (int worker = 3; worker < 100; ++worker) {
    const Sources sources = fan_out.SourcesFor(kVersion, absl::StrCat("w", worker), {});
    ASSERT_EQ(sources.size(), 2u);
    EXPECT_NE(sources[0], sources[1]);
    ++receivers[sources[1]];
  }
  EXPECT_FALSE(receivers.contains(""));
  for (const auto& [source, count] : receivers) EXPECT_LE(count, 2) << source;
}

TEST(FanOut, WhereAllOthersHaveFailedTheLearnerSends) {
  FanOut fan_out;
  for (const char* worker : {"w0", "w1", "w2"}) (void)fan_out.SourcesFor(kVersion, worker, {});
  EXPECT_EQ(fan_out.SourcesFor(kVersion, "w3", {"w0", "w1", "w2"}), (Sources{""}));
}

TEST(FanOut, NobodyGetsAnythingByWayOfItself) {
  FanOut fan_out;
  std::map<std::string, Sources> sources;
  const auto ask = [&](const std::string& worker, const Sources& failed) {
    sources[worker] = fan_out.SourcesFor(kVersion, worker, failed);
  };
  for (int worker = 0; worker < 8; ++worker) ask(absl::StrCat("w", worker), {});
  // Both that the learner feeds are dead, and all others find out one after the other.
  for (const char* worker : {"w6", "w2", "w4", "w3", "w5", "w7", "w2", "w6"}) {
    ask(worker, {"w0", "w1"});
    std::set<std::string> fed = {"", "w0", "w1"};
    for (size_t round = 0; round < sources.size(); ++round) {
      for (const auto& [name, from] : sources) {
        if (std::all_of(from.begin(), from.end(), [&](const auto& at) { return fed.contains(at); }))
          fed.insert(name);
      }
    }
    for (const auto& [name, from] : sources) {
      EXPECT_TRUE(fed.contains(name)) << name << " after " << worker << " asked";
    }
  }
}

}  // namespace
}  // namespace attnrl::learner
