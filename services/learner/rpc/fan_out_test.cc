// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/fan_out.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {
namespace {

const Version kVersion = {5, "digest"};

TEST(FanOut, EachSendsToTwoAndTheFirstGetTheirsFromTheLearner) {
  FanOut fan_out;
  std::map<std::string, int> receivers;
  for (int worker = 0; worker < 100; ++worker) {
    ++receivers[fan_out.SourceFor(kVersion, absl::StrCat("w", worker), {})];
  }
  EXPECT_EQ(receivers.at(""), 2);
  for (const auto& [source, count] : receivers) EXPECT_LE(count, 2) << source;
  EXPECT_FALSE(receivers.contains("w99"));
}

TEST(FanOut, WhoAsksAgainHasOnePlace) {
  FanOut fan_out;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(fan_out.SourceFor(kVersion, "w0", {}), "");
  EXPECT_EQ(fan_out.SourceFor(kVersion, "w1", {}), "");
  EXPECT_EQ(fan_out.SourceFor(kVersion, "w2", {}), "w0");
  EXPECT_EQ(fan_out.SourceFor({6, "another"}, "w2", {}), "") << "a tree of its own";
}

TEST(FanOut, WhoFailedIsNamedToNobodyAndItsPlaceAtTheLearnerIsFree) {
  FanOut fan_out;
  for (const char* worker : {"w0", "w1", "w2", "w3"}) {
    (void)fan_out.SourceFor(kVersion, worker, {});
  }
  EXPECT_EQ(fan_out.SourceFor(kVersion, "w2", {"w0"}), "");
  // What w3 has comes by w0, too.
  EXPECT_EQ(fan_out.SourceFor(kVersion, "w4", {}), "w1");
  EXPECT_EQ(fan_out.SourceFor(kVersion, "w3", {"w0"}), "w1");
}

TEST(FanOut, NobodyIsSentToWhoWaitsForIt) {
  FanOut fan_out;
  for (int worker = 0; worker < 8; ++worker) {
    (void)fan_out.SourceFor(kVersion, absl::StrCat("w", worker), {});
  }
  // Both that the learner feeds are dead, and all others find out one after the other.
  std::map<std::string, std::string> sources;
  for (const char* worker : {"w6", "w2", "w4", "w3", "w5", "w7"}) {
    sources[worker] = fan_out.SourceFor(kVersion, worker, {"w0", "w1"});
  }
  for (auto [worker, source] : sources) {
    for (size_t steps = 0; !source.empty(); ++steps) {
      ASSERT_LT(steps, sources.size()) << worker;
      ASSERT_TRUE(sources.contains(source)) << worker << " gets it from " << source;
      source = sources.at(source);
    }
  }
}

}  // namespace
}  // namespace attnrl::learner
