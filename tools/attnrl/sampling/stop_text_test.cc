// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/stop_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/philox.h"
#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::tools {
namespace {

class StopTextTest : public ::testing::Test {
 protected:
  StopTextTest() { folder_.Write("tokenizer.json", text::SmallTokenizer().dump()); }
  text::Tokenizer Load() { return *text::Tokenizer::Load(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(StopTextTest, IsFoundAcrossTokens) {
  const StopText stop(Load(), "b the");
  EXPECT_FALSE(stop.Completes({'a', 'b'}));
  EXPECT_TRUE(stop.Completes({'a', 'b', 258}));
  EXPECT_FALSE(stop.Completes({'a', 'b', 258, 'x'}));  // completed one token before
}

TEST_F(StopTextTest, IsFoundInsideAToken) {
  EXPECT_TRUE(StopText(Load(), "h").Completes({'a', 257}));
}

TEST_F(StopTextTest, AnEmptyOneNeverStops) {
  EXPECT_FALSE(StopText(Load(), "").Completes({'a'}));
  EXPECT_EQ(StopText(Load(), "").Cut("abc"), "abc");
}

TEST_F(StopTextTest, IsLeftOutOfTheText) {
  EXPECT_EQ(StopText(Load(), "END").Cut("one END"), "one ");
  EXPECT_EQ(StopText(Load(), "END").Cut("one"), "one");
}

// A response grows token by token: it ends where its text first holds the stop text, and no sooner.
TEST_F(StopTextTest, IsCompletedByTheTokenAtWhichTheTextFirstHoldsIt) {
  const text::Tokenizer tokenizer = Load();
  const std::vector<int32_t> pieces = {'t', 'h', 'e', ' ', 'a', 256, 257, 258};
  int stopped = 0;
  for (uint32_t round = 0; round < 500; ++round) {
    RandomStream random({.seed = 6, .position = round});
    std::string wanted;
    for (uint64_t i = 1 + random.Below(3); i > 0; --i) {
      wanted += tokenizer.TokenBytes(pieces[random.Below(pieces.size())]);
    }
    const StopText stop(Load(), wanted);
    std::vector<int32_t> tokens;
    for (int i = 0; i < 12; ++i) {
      tokens.push_back(pieces[random.Below(pieces.size())]);
      const bool holds = tokenizer.Decode(tokens).find(wanted) != std::string::npos;
      ASSERT_EQ(stop.Completes(tokens), holds) << wanted << " in " << tokenizer.Decode(tokens);
      if (!holds) continue;
      ++stopped;
      EXPECT_EQ(stop.Cut(tokenizer.Decode(tokens)).find(wanted), std::string::npos);
      break;
    }
  }
  EXPECT_GT(stopped, 100);
  EXPECT_LT(stopped, 490);
}

}  // namespace
}  // namespace attnrl::tools
