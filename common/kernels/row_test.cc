// SPDX-License-Identifier: Apache-2.0
// The kernels of one row: the order of their sums, computed here in plain C++, and their values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "common/kernels/isa.h"
#include "common/kernels/kernels.h"
#include "common/kernels/testing/reference.h"

namespace attnrl::kernels {
namespace {

using testing::Each;
using testing::ElementsAre;

// Element i into lane i mod 16, then (l, l + 8), (l, l + 4), (l, l + 2), (0, 1).
float SquaresInLanes(const float* x, int64_t n) {
  std::array<float, 16> lanes = {};
  for (int64_t i = 0; i < n; ++i) {
    float& lane = lanes[static_cast<size_t>(i % 16)];
    lane = std::fma(x[i], x[i], lane);
  }
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

class RowKernels : public testing::TestWithParam<Isa> {
 protected:
  const Kernels& kernels_ = *AllKernels()[static_cast<size_t>(GetParam())];
  RandomStream random_{{.seed = 2}};
};

TEST_P(RowKernels, SumANormInSixteenLanes) {
  for (const int64_t n : {1, 2, 15, 16, 17, 31, 32, 48, 77}) {
    const int64_t stride = n + 3;
    const std::vector<float> x = RandomFloats(random_, 3 * stride);
    const std::vector<float> weight = RandomFloats(random_, n);
    std::vector<float> y(static_cast<size_t>(3 * n));
    kernels_.rms_norm(x.data(), stride, weight.data(), 3, n, 1e-5F, y.data());
    std::vector<float> expected;
    for (int64_t row = 0; row < 3; ++row) {
      const float* values = x.data() + row * stride;
      const float mean = SquaresInLanes(values, n) / static_cast<float>(n);
      const float inverse = 1.0F / std::sqrt(mean + 1e-5F);
      for (int64_t i = 0; i < n; ++i) {
        expected.push_back(weight[static_cast<size_t>(i)] * (values[i] * inverse));
      }
    }
    EXPECT_EQ(y, expected) << n;
  }
}

TEST_P(RowKernels, TransposeMatricesOfAnySizeAndLeaveWhatLiesBetweenRowsAlone) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {8, 8}, {7, 17}, {16, 9}, {33, 24}}) {
    const std::vector<float> x = RandomFloats(random_, rows * (columns + 3));
    std::vector<float> y(static_cast<size_t>(columns * (rows + 2)), -7.0F);
    kernels_.transpose(x.data(), columns + 3, rows, columns, y.data(), rows + 2);
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t r = 0; r < rows + 2; ++r) {
        EXPECT_EQ(y[static_cast<size_t>(c * (rows + 2) + r)],
                  r < rows ? x[static_cast<size_t>(r * (columns + 3) + c)] : -7.0F)
            << rows << " x " << columns;
      }
    }
  }
}

TEST_P(RowKernels, GiveTheSameBitsOnEveryInstructionSet) {
  const Kernels& portable = *AllKernels().front();
  for (const int64_t n : {1, 16, 37, 500}) {
    const std::vector<float> x = RandomFloats(random_, n, 20);
    const std::vector<float> weight = RandomFloats(random_, n);
    const auto both = [&](const auto& run) {
      std::vector<float> mine(x.size()), theirs(x.size());
      run(kernels_, mine.data());
      run(portable, theirs.data());
      EXPECT_EQ(mine, theirs) << n;
    };
    both([&](const Kernels& k, float* y) {
      k.rms_norm(x.data(), n, weight.data(), 1, n, 1e-6F, y);
    });
    both([&](const Kernels& k, float* y) { k.gated_silu(x.data(), weight.data(), n, y); });
    both([&](const Kernels& k, float* y) {
      std::vector<float> dweight(x.size());
      k.rms_norm_gradient(x.data(), weight.data(), weight.data(), x.data(), 1, n, 1e-6F, y,
                          dweight.data());
      for (size_t i = 0; i < dweight.size(); ++i) y[i] += 3 * dweight[i];
    });
    both([&](const Kernels& k, float* y) {
      std::vector<float> dup(x.size());
      k.gated_silu_gradient(x.data(), weight.data(), weight.data(), n, y, dup.data());
      for (size_t i = 0; i < dup.size(); ++i) y[i] += 3 * dup[i];
    });
    both([&](const Kernels& k, float* y) { k.log_softmax(x.data(), 1, n, y); });
    both([&](const Kernels& k, float* y) {
      k.rotate(x.data(), weight.data(), weight.data(), 1, n / 2 * 2, y);
    });
  }
}

TEST_P(RowKernels, ComputeNormsSiluAndLogSoftmax) {
  constexpr int64_t kSize = 37;
  const std::vector<float> x = RandomFloats(random_, kSize, 30);
  const std::vector<float> weight = RandomFloats(random_, kSize);
  std::vector<float> norm(kSize), silu(kSize), logprobs(kSize);
  kernels_.rms_norm(x.data(), kSize, weight.data(), 1, kSize, 1e-6F, norm.data());
  kernels_.gated_silu(x.data(), weight.data(), kSize, silu.data());
  kernels_.log_softmax(x.data(), 1, kSize, logprobs.data());
  double squares = 0;
  double total = 0;
  for (const float value : x) {
    squares += static_cast<double>(value) * static_cast<double>(value);
    total += std::exp(static_cast<double>(value));
  }
  for (size_t i = 0; i < kSize; ++i) {
    const auto value = static_cast<double>(x[i]);
    const auto scale = static_cast<double>(weight[i]);
    EXPECT_NEAR(norm[i], scale * value / std::sqrt(squares / kSize + 1e-6), 1e-5);
    EXPECT_NEAR(silu[i], value / (1 + std::exp(-value)) * scale, 1e-5);
    EXPECT_NEAR(logprobs[i], value - std::log(total), 1e-5);
  }
}

TEST_P(RowKernels, AddEachElementOnce) {
  const std::vector<float> x = RandomFloats(random_, 53);
  std::vector<float> y = RandomFloats(random_, 54);
  const std::vector<float> before = y;
  kernels_.add(x.data(), 53, y.data());
  for (size_t i = 0; i < 53; ++i) EXPECT_EQ(y[i], before[i] + x[i]);
  EXPECT_EQ(y[53], before[53]);
}

TEST_P(RowKernels, RotateEveryHeadByTheSameAngles) {
  // Halves below, at and beyond the sixteen lanes.
  for (const int64_t n : {10, 32, 42}) {
    const std::vector<float> x = RandomFloats(random_, 3 * n);
    const std::vector<float> cosine = RandomFloats(random_, n);
    const std::vector<float> sine = RandomFloats(random_, n);
    std::vector<float> y(x.size());
    kernels_.rotate(x.data(), cosine.data(), sine.data(), 3, n, y.data());
    const auto size = static_cast<size_t>(n);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t element = i % size;
      const float other = x[i - element + (element + size / 2) % size];
      const double expected = static_cast<double>(x[i]) * static_cast<double>(cosine[element]) +
                              static_cast<double>(other) * static_cast<double>(sine[element]);
      EXPECT_NEAR(y[i], expected, 1e-6) << n << ", " << i;
    }
  }
}

TEST_P(RowKernels, MayWriteOverWhatTheyRead) {
  constexpr int64_t kSize = 40;
  const std::vector<float> x = RandomFloats(random_, kSize);
  const std::vector<float> other = RandomFloats(random_, kSize);
  const auto check = [&](const auto& run) {
    std::vector<float> apart(kSize);
    std::vector<float> over = x;
    run(x.data(), apart.data());
    run(over.data(), over.data());
    EXPECT_EQ(apart, over);
  };
  check([&](const float* from, float* to) {
    kernels_.rms_norm(from, kSize, other.data(), 1, kSize, 1e-6F, to);
  });
  check([&](const float* from, float* to) { kernels_.gated_silu(from, other.data(), kSize, to); });
  check([&](const float* from, float* to) { kernels_.gated_silu(other.data(), from, kSize, to); });
  check([&](const float* from, float* to) {
    kernels_.rotate(from, other.data(), other.data(), 1, kSize, to);
  });
  check([&](const float* from, float* to) { kernels_.log_softmax(from, 1, kSize, to); });
}

TEST_P(RowKernels, SurviveTheEndsOfTheRangeOfExponentials) {
  const std::vector<float> gate = {-1e4F, -200, -88, 0, 88, 200, 1e4F, 3e38F};
  const std::vector<float> up = {1, 1, 1, 5, 1, -2, 1, 1};
  std::vector<float> y(gate.size());
  kernels_.gated_silu(gate.data(), up.data(), static_cast<int64_t>(gate.size()), y.data());
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(y[i], 0, 1e-30) << i;
  EXPECT_THAT(std::vector<float>(y.begin() + 3, y.end()), ElementsAre(0, 88, -400, 1e4F, 3e38F));

  const std::vector<float> logits = {1000, -1000, 1000, -3e38F};
  std::vector<float> logprobs(logits.size());
  kernels_.log_softmax(logits.data(), 1, 4, logprobs.data());
  const float half = -0.69314718F;
  EXPECT_NEAR(logprobs[0], half, 1e-6);
  EXPECT_EQ(logprobs[0], logprobs[2]);
  EXPECT_NEAR(logprobs[1], -2000 + half, 1e-3);
  EXPECT_LT(logprobs[3], -2.9e38F);
}

TEST_P(RowKernels, GiveCertaintyToASingleLogitAndZerosToANormOfZeros) {
  const std::vector<float> logits = {-30, 0, 1e6F};
  std::vector<float> logprobs(3, 1);
  kernels_.log_softmax(logits.data(), 3, 1, logprobs.data());
  EXPECT_THAT(logprobs, Each(0));
  const std::vector<float> zeros(20, 0.0F);
  const std::vector<float> weight(20, 3.0F);
  std::vector<float> norm(20, 1);
  kernels_.rms_norm(zeros.data(), 20, weight.data(), 1, 20, 1e-6F, norm.data());
  EXPECT_THAT(norm, Each(0));
}

INSTANTIATE_TEST_SUITE_P(OnIsa, RowKernels, testing::ValuesIn([] {
                           std::vector<Isa> all;
                           for (size_t isa = 0; isa < AllKernels().size(); ++isa) {
                             all.push_back(static_cast<Isa>(isa));
                           }
                           return all;
                         }()),
                         [](const auto& test) { return std::string(WordOf(test.param)); });

}  // namespace
}  // namespace attnrl::kernels
