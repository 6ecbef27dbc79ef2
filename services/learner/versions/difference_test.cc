// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/difference.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace attnrl::learner {
namespace {

std::string BytesOf(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()};
}

absl::StatusOr<std::string> Apply(std::string_view base, std::string_view difference) {
  std::string bytes(base.size(), '?');
  const absl::Status status = ApplyDifference(base, difference, bytes);
  if (!status.ok()) return status;
  return bytes;
}

TEST(Difference, GivesBackEveryBit) {
  at::manual_seed(1);
  const std::string base = BytesOf(at::randn({5000}));
  for (const std::string& bytes : {base, BytesOf(at::randn({5000})), std::string(20000, '\xff')}) {
    const auto back = Apply(base, Difference(base, bytes));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, bytes);
  }
  EXPECT_EQ(*Apply("", Difference("", "")), "");
}

TEST(Difference, IsShortWhereFewWeightsMove) {
  at::manual_seed(2);
  const at::Tensor masters = 0.02 * at::randn({1 << 18});
  const at::Tensor moved = masters + 1e-6 * at::randn({1 << 18}).sign();
  const std::string before = BytesOf(masters.to(at::kBFloat16));
  const std::string after = BytesOf(moved.to(at::kBFloat16));
  EXPECT_NE(before, after);
  EXPECT_LT(Difference(before, after).size() * 10, after.size());
}

TEST(Difference, RefusesWhatIsNone) {
  const std::string base(1000, 'a');
  const std::string good = Difference(base, std::string(1000, 'b'));
  EXPECT_TRUE(absl::IsDataLoss(Apply(std::string(999, 'a'), good).status()));
  EXPECT_TRUE(absl::IsDataLoss(Apply(base, "").status()));
  EXPECT_TRUE(absl::IsDataLoss(Apply(base, std::string(64, '\x28')).status()));
  EXPECT_TRUE(absl::IsDataLoss(Apply(base, good.substr(0, good.size() / 2)).status()));
}

TEST(Difference, OfABombTakesNoMemory) {
  const std::string zeros(size_t{64} << 20, '\0');
  const std::string bomb = Difference(zeros, zeros);
  EXPECT_LT(bomb.size(), 100'000u);
  EXPECT_TRUE(absl::IsDataLoss(Apply("small", bomb).status()));
}

}  // namespace
}  // namespace attnrl::learner
