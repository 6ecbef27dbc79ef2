// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/weight_bytes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace attnrl::learner {
namespace {

TEST(WeightBytes, WithoutMemoryForThemAreAnErrorThatSaysHowMany) {
  const auto room = WeightBytes::Room(size_t{1} << 62);
  EXPECT_TRUE(absl::IsResourceExhausted(room.status()));
  EXPECT_NE(std::string(room.status().message()).find("4611686018427387904"), std::string::npos);
}

TEST(WeightBytes, OfAFileThatCannotBeMappedAreAnErrorThatNamesIt) {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto mapped = WeightBytes::Map(null, "/dev/null", 9);
  EXPECT_FALSE(mapped.ok());
  EXPECT_NE(std::string(mapped.status().message()).find("/dev/null"), std::string::npos);
  ::close(null);
}

TEST(WeightBytes, OfNoLengthNeedNoMemory) {
  EXPECT_EQ(WeightBytes::Room(0)->size(), 0u);
  EXPECT_EQ(WeightBytes("").view(), "");
}

}  // namespace
}  // namespace attnrl::learner
