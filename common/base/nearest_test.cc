// SPDX-License-Identifier: Apache-2.0
#include "common/base/nearest.h"

#include <gtest/gtest.h>

namespace attnrl {
namespace {

TEST(Nearest, FindsASlipOfTheFingerAndNothingFarther) {
  EXPECT_EQ(Nearest("tarin", {"train", "drain", "show"}), "train");
  EXPECT_EQ(Nearest("elephant", {"train", "drain", "show"}), "");
}

}  // namespace
}  // namespace attnrl
