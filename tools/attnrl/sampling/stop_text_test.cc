// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/stop_text.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace attnrl::tools
