// SPDX-License-Identifier: Apache-2.0
#include "common/device/kept_tensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace attnrl::device {
namespace {

const void* DataOf(const at::Tensor& x) { return x.storage().data(); }

TEST(KeptTensors, HandsOutWhatNobodyHoldsAnyMore) {
  KeptTensors kept;
  const KeptTensors::Use use(kept);
  at::Tensor first = KeptTensors::Empty({4, 8}, at::kFloat);
  const at::Tensor second = KeptTensors::Empty({4, 8}, at::kFloat);
  EXPECT_NE(DataOf(first), DataOf(second));
  const void* const data = DataOf(first);
  first = at::Tensor();
  const at::Tensor third = KeptTensors::Empty({2, 3, 5}, at::kFloat);
  EXPECT_EQ(DataOf(third), data);
  EXPECT_EQ(third.sizes(), (std::vector<int64_t>{2, 3, 5}));
  EXPECT_TRUE(third.is_contiguous());
}

TEST(KeptTensors, KeepsWhatIsHeldThroughAView) {
  KeptTensors kept;
  const KeptTensors::Use use(kept);
  const at::Tensor view = KeptTensors::Empty({4, 8}, at::kFloat).narrow(0, 1, 2);
  EXPECT_NE(DataOf(KeptTensors::Empty({4, 8}, at::kFloat)), DataOf(view));
}

TEST(KeptTensors, TakesTheSmallestThatFitsAndMakesTheLargestLarger) {
  KeptTensors kept;
  const KeptTensors::Use use(kept);
  const void* small = nullptr;
  const void* large = nullptr;
  {
    const at::Tensor a = KeptTensors::Empty({1000}, at::kFloat);
    const at::Tensor b = KeptTensors::Empty({100}, at::kFloat);
    large = DataOf(a);
    small = DataOf(b);
  }
  EXPECT_EQ(DataOf(KeptTensors::Empty({100}, at::kFloat)), small);
  EXPECT_EQ(DataOf(KeptTensors::Empty({101}, at::kFloat)), large);
  const at::Tensor larger = KeptTensors::Empty({100'000}, at::kFloat);
  EXPECT_EQ(larger.storage().nbytes(), 400'000);
  EXPECT_EQ(DataOf(KeptTensors::Empty({100}, at::kFloat)), small);
}

TEST(KeptTensors, DoesNotMixTypes) {
  KeptTensors kept;
  const KeptTensors::Use use(kept);
  const void* const floats = DataOf(KeptTensors::Empty({4}, at::kFloat));
  const at::Tensor integers = KeptTensors::Empty({4}, at::kLong);
  EXPECT_EQ(integers.scalar_type(), at::kLong);
  EXPECT_NE(DataOf(integers), floats);
}

TEST(KeptTensors, CutsATensorIntoItsColumns) {
  KeptTensors kept;
  const auto check = [] {
    for (const int64_t rows : {3, 1, 5}) {
      const KeptTensors::Parts made = KeptTensors::EmptyParts(rows, std::array{8L, 4L, 4L}, 4);
      made.whole.copy_(at::arange(rows * 16).view({rows, 16}));
      EXPECT_TRUE(at::equal(made.parts[0], made.whole.narrow(1, 0, 8).view({rows, 2, 4})));
      EXPECT_TRUE(at::equal(made.parts[2], made.whole.narrow(1, 12, 4).view({rows, 1, 4})));
      const KeptTensors::Parts pair = KeptTensors::EmptyParts(rows, std::array{5L, 5L}, 0);
      pair.whole.copy_(at::arange(rows * 10).view({rows, 10}));
      EXPECT_TRUE(at::equal(pair.parts[1], pair.whole.narrow(1, 5, 5)));
      EXPECT_EQ(made.whole[0][15].item<int64_t>(), 15) << "still held";
    }
  };
  check();  // new tensors
  const KeptTensors::Use use(kept);
  check();
}

TEST(KeptTensors, KeepsATensorAsLongAsOneOfItsParts) {
  KeptTensors kept;
  const KeptTensors::Use use(kept);
  at::Tensor part = KeptTensors::EmptyParts(4, std::array{8L, 8L}, 0).parts[1];
  const void* const data = DataOf(part);
  EXPECT_NE(DataOf(KeptTensors::Empty({4, 16}, at::kFloat)), data);
  part = at::Tensor();
  EXPECT_EQ(DataOf(KeptTensors::EmptyParts(4, std::array{16L}, 0).whole), data);
}

TEST(KeptTensors, LetsWhatItHandedOutLive) {
  at::Tensor x;
  {
    KeptTensors kept;
    const KeptTensors::Use use(kept);
    x = KeptTensors::Empty({2}, at::kFloat);
  }
  x.fill_(1);
  EXPECT_EQ(x.sum().item<float>(), 2);
}

}  // namespace
}  // namespace attnrl::device
