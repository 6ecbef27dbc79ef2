// SPDX-License-Identifier: Apache-2.0
#include "common/text/nfc.h"

#include <gtest/gtest.h>

namespace attnrl::text {
namespace {

TEST(ComposeNfc, JoinsCombiningCharacters) {
  EXPECT_EQ(ComposeNfc("e\xCC\x81!"), "\xC3\xA9!");
  EXPECT_EQ(ComposeNfc(""), "");
  EXPECT_EQ(ComposeNfc("plain"), "plain");
}

}  // namespace
}  // namespace attnrl::text
