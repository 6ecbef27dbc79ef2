// SPDX-License-Identifier: Apache-2.0
// The order of every sum as kernels.h writes it down, computed here in plain C++: the kernels have
// to give these bits on every machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "common/attention/fixed_order/kernels.h"
#include "common/base/philox.h"

namespace attnrl::attention {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<float> Random(RandomStream& random, int64_t count, double size = 2) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(size * (random.Uniform() - 0.5));
  return values;
}

// Element i into lane i mod 16, then (l, l + 8), (l, l + 4), (l, l + 2), (0, 1).
float DotInLanes(const float* a, const float* b, int64_t n) {
  std::array<float, 16> lanes = {};
  for (int64_t i = 0; i < n; ++i) {
    float& lane = lanes[static_cast<size_t>(i % 16)];
    lane = std::fma(a[i], b[i], lane);
  }
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

class KernelOrder : public testing::TestWithParam<const FixedOrderKernels*> {};

TEST_P(KernelOrder, OfALinearMapIsOneChainFromTheBiasOverTheInputs) {
  RandomStream random({.seed = 1});
  // Outputs around the panels of 16 and the pairs of panels, rows around every tile.
  for (const int64_t out : {1, 15, 16, 17, 31, 32, 33, 64}) {
    for (const int64_t rows : {1, 2, 4, 5, 8, 9}) {
      const int64_t in = 1 + static_cast<int64_t>(random.Below(40));
      const std::vector<float> x = Random(random, rows * in);
      const std::vector<float> weight = Random(random, out * in);
      const std::vector<float> bias = Random(random, out);
      std::vector<float> panels(static_cast<size_t>(PanelElements(out, in)));
      FillPanels(weight.data(), out, in, panels.data());
      for (const float* start : {bias.data(), static_cast<const float*>(nullptr)}) {
        std::vector<float> y(static_cast<size_t>(rows * out + 1), -7.0F);
        GetParam()->linear(x.data(), rows, in, {.float32 = panels.data()}, start, out, y.data());
        std::vector<float> expected;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t o = 0; o < out; ++o) {
            float sum = start == nullptr ? 0.0F : start[o];
            for (int64_t i = 0; i < in; ++i) {
              sum = std::fma(x[static_cast<size_t>(r * in + i)],
                             weight[static_cast<size_t>(o * in + i)], sum);
            }
            expected.push_back(sum);
          }
        }
        expected.push_back(-7.0F);  // nothing is written behind the last output
        ASSERT_EQ(y, expected) << rows << " x " << in << " -> " << out;
      }
    }
  }
}

TEST_P(KernelOrder, OfANormIsThatOfSixteenLanes) {
  RandomStream random({.seed = 2});
  for (const int64_t n : {1, 2, 15, 16, 17, 31, 32, 48, 77}) {
    const std::vector<float> x = Random(random, 3 * n);
    const std::vector<float> weight = Random(random, n);
    std::vector<float> y(x.size());
    GetParam()->rms_norm(x.data(), weight.data(), 3, n, 1e-5F, y.data());
    std::vector<float> expected;
    for (int64_t row = 0; row < 3; ++row) {
      const float* values = x.data() + row * n;
      const float mean = DotInLanes(values, values, n) / static_cast<float>(n);
      const float inverse = 1.0F / std::sqrt(mean + 1e-5F);
      for (int64_t i = 0; i < n; ++i) {
        expected.push_back(weight[static_cast<size_t>(i)] * (values[i] * inverse));
      }
    }
    EXPECT_EQ(y, expected) << n;
  }
}

// With queries of zeros every weight is the same and known without the exponential.
TEST_P(KernelOrder, OfAttentionIsOneChainOverTheKeys) {
  RandomStream random({.seed = 3});
  for (const int64_t head_dim : {2, 15, 16, 17, 32, 48, 64, 80, 112}) {
    for (const int64_t tokens : {1, 15, 16, 17, 63, 64, 65, 129}) {
      for (const int64_t heads : {2, 3}) {
        const std::vector<float> q(static_cast<size_t>(heads * head_dim), 0.0F);
        const std::vector<float> keys = Random(random, tokens * head_dim);
        const std::vector<float> values = Random(random, tokens * head_dim);
        std::vector<float> scratch(static_cast<size_t>(AttendScratch(heads, tokens)));
        std::vector<float> out(q.size());
        GetParam()->attend({.q = q.data(),
                            .keys = keys.data(),
                            .values = values.data(),
                            .tokens = tokens,
                            .heads = heads,
                            .kv_heads = 1,
                            .head_dim = head_dim,
                            .scratch = scratch.data(),
                            .out = out.data()});
        std::vector<float> expected;
        for (int64_t head = 0; head < heads; ++head) {
          for (int64_t i = 0; i < head_dim; ++i) {
            float sum = 0;
            for (int64_t t = 0; t < tokens; ++t) {
              sum = std::fma(1.0F / static_cast<float>(tokens),
                             values[static_cast<size_t>(t * head_dim + i)], sum);
            }
            expected.push_back(sum);
          }
        }
        ASSERT_EQ(out, expected) << tokens << " tokens, " << heads << " heads of " << head_dim;
      }
    }
  }
}

TEST_P(KernelOrder, RotatesEveryHeadByTheSameAngles) {
  RandomStream random({.seed = 4});
  const std::vector<float> x = Random(random, 3 * 10);
  const std::vector<float> cosine = Random(random, 10);
  const std::vector<float> sine = Random(random, 10);
  std::vector<float> y(x.size());
  GetParam()->rotate(x.data(), cosine.data(), sine.data(), 3, 10, y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t element = i % 10;
    const float other = x[i - element + (element + 5) % 10];
    const double expected = static_cast<double>(x[i]) * static_cast<double>(cosine[element]) +
                            static_cast<double>(other) * static_cast<double>(sine[element]);
    EXPECT_NEAR(y[i], expected, 1e-6) << i;
  }
}

TEST_P(KernelOrder, SurvivesTheEndsOfTheRangeOfExponentials) {
  const std::vector<float> gate = {-1e4F, -200, -88, 0, 88, 200, 1e4F, 3e38F};
  const std::vector<float> up = {1, 1, 1, 5, 1, -2, 1, 1};
  std::vector<float> y(gate.size());
  GetParam()->gated_silu(gate.data(), up.data(), static_cast<int64_t>(gate.size()), y.data());
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(y[i], 0, 1e-30) << i;
  EXPECT_THAT(std::vector<float>(y.begin() + 3, y.end()), ElementsAre(0, 88, -400, 1e4F, 3e38F));

  const std::vector<float> logits = {1000, -1000, 1000, -3e38F};
  std::vector<float> logprobs(logits.size());
  GetParam()->log_softmax(logits.data(), 1, 4, logprobs.data());
  const float half = -0.69314718F;
  EXPECT_NEAR(logprobs[0], half, 1e-6);
  EXPECT_EQ(logprobs[0], logprobs[2]);
  EXPECT_NEAR(logprobs[1], -2000 + half, 1e-3);
  EXPECT_LT(logprobs[3], -2.9e38F);
}

TEST_P(KernelOrder, GivesCertaintyToASingleLogitAndZerosToANormOfZeros) {
  const std::vector<float> logits = {-30, 0, 1e6F};
  std::vector<float> logprobs(3, 1);
  GetParam()->log_softmax(logits.data(), 3, 1, logprobs.data());
  EXPECT_THAT(logprobs, Each(0));
  const std::vector<float> zeros(20, 0.0F);
  const std::vector<float> weight(20, 3.0F);
  std::vector<float> norm(20, 1);
  GetParam()->rms_norm(zeros.data(), weight.data(), 1, 20, 1e-6F, norm.data());
  EXPECT_THAT(norm, Each(0));
}

INSTANTIATE_TEST_SUITE_P(Isa, KernelOrder, testing::ValuesIn(AllFixedOrderKernels()),
                         [](const auto& test) { return std::string(test.param->isa); });

TEST(Panels, HoldSixteenOutputsSideBySideAndZerosWhereThereIsNone) {
  EXPECT_EQ(PanelElements(16, 5), 16 * 5);
  EXPECT_EQ(PanelElements(17, 5), 32 * 5);
  std::vector<float> weight(18 * 3);
  std::iota(weight.begin(), weight.end(), 1.0F);
  std::vector<float> panels(static_cast<size_t>(PanelElements(18, 3)), -1.0F);
  FillPanels(weight.data(), 18, 3, panels.data());
  for (size_t i = 0; i < panels.size(); ++i) {
    const size_t output = i / 48 * 16 + i % 16;
    const size_t input = i / 16 % 3;
    EXPECT_EQ(panels[i], output < 18 ? weight[output * 3 + input] : 0.0F) << i;
  }
}

TEST(FixedOrderKernels, AreTheFastestOfThoseThatTheMachineHas) {
  std::vector<std::string> names;
  for (const FixedOrderKernels* kernels : AllFixedOrderKernels()) names.emplace_back(kernels->isa);
  const std::vector<std::string> order = {"portable", "avx2", "avx512"};
  ASSERT_LE(names.size(), order.size());
  for (size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], order[i]);
  EXPECT_EQ(GetFixedOrderKernels().isa, names.back());
}

}  // namespace
}  // namespace attnrl::attention
