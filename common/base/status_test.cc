// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

#include "gtest/gtest.h"

namespace attnrl {
namespace {

absl::StatusOr<int> Half(int x) {
  if (x % 2 != 0) return InputError("x", "is odd", "an even number is allowed");
  return x / 2;
}

absl::StatusOr<int> Quarter(int x) {
  ATTNRL_ASSIGN_OR_RETURN(const int half, Half(x));
  return Half(half);
}

TEST(InputError, NamesWhereWhatAndWhatIsAllowed) {
  EXPECT_EQ(Half(3).status().message(), "x: is odd; an even number is allowed");
  EXPECT_TRUE(IsInputError(Half(3).status()));
  EXPECT_FALSE(IsInputError(absl::InternalError("x")));
}

TEST(AssignOrReturn, PassesValuesOnAndErrorsOut) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_FALSE(Quarter(6).ok());
}

TEST(Annotate, KeepsTheCodeAndPrefixesTheMessage) {
  const absl::Status status = Annotate(absl::DataLossError("bad"), "a.safetensors");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "a.safetensors: bad");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
}

TEST(OneLine, CannotForgeALogLineAndIsBounded) {
  EXPECT_EQ(OneLine("a\nb\x1b[0m"), "a\\nb\\x1b[0m");
  EXPECT_EQ(OneLine("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace attnrl
