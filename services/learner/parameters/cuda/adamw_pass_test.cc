// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/base/philox.h"
#include "common/kernels/cuda/testing/emulator.h"
#include "services/learner/parameters/cuda/adamw_kernel.h"

namespace attnrl::learner {
namespace {

// Masters, moments and copy of some parameters, and gradients step by step.
struct State {
  std::vector<float> values, gradient, m, v;
  std::vector<cuda::BFloat16> rounded;

  explicit State(size_t count) : m(count), v(count), rounded(count) {
    RandomStream random({.seed = 8});
    for (size_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random.Uniform() - 0.5));
  }
  void SetGradient(uint64_t step) {
    RandomStream random({.seed = 100 + step});
    gradient.clear();
    for (size_t i = 0; i < values.size(); ++i) {
      gradient.push_back(static_cast<float>(0.2 * random.Uniform() - 0.1));
    }
  }
  AdamWPass Pass(int step, float rate) {
    return {.values = values.data(),
            .gradient = gradient.data(),
            .first_moment = m.data(),
            .second_moment = v.data(),
            .rounded = rounded.data(),
            .count = static_cast<int64_t>(values.size()),
            .learning_rate = rate,
            .beta1 = 0.9F,
            .beta2 = 0.98F,
            .epsilon = 1e-8F,
            .weight_decay = 0.1F,
            .unbias1 = static_cast<float>(1 / (1 - std::pow(0.9, step))),
            .unbias2 = static_cast<float>(1 / (1 - std::pow(0.98, step)))};
  }
};

void RunStep(const AdamWPass& pass, cuda::ThreadOrder order) {
  constexpr int64_t kPart = AdamWKernel::kThreads * AdamWKernel::kEach;
  ASSERT_TRUE(cuda::Emulate<AdamWKernel>({(pass.count + kPart - 1) / kPart}, pass, order).ok());
}

TEST(AdamWOnGpu, EqualsTheClosedFormInFloat64) {
  for (const size_t count : {size_t{3}, size_t{1024}, size_t{1501}}) {
    const float scale = 0.25F;
    for (const cuda::ThreadOrder order : cuda::kAllOrders) {
      State state(count);
      std::vector<double> value(state.values.begin(), state.values.end());
      std::vector<double> m(count), v(count);
      for (int step = 1; step <= 5; ++step) {
        state.SetGradient(static_cast<uint64_t>(step));
        AdamWPass pass = state.Pass(step, 0.01F);
        pass.gradient_scale = &scale;
        RunStep(pass, order);
        for (size_t i = 0; i < count; ++i) {
          const double gradient = double{state.gradient[i]} * 0.25;
          m[i] = 0.9 * m[i] + 0.1 * gradient;
          v[i] = 0.98 * v[i] + 0.02 * gradient * gradient;
          value[i] -= 0.01 * 0.1 * value[i];
          value[i] -= 0.01 * (m[i] / (1 - std::pow(0.9, step))) /
                      (std::sqrt(v[i] / (1 - std::pow(0.98, step))) + 1e-8);
        }
      }
      for (size_t i = 0; i < count; ++i) {
        ASSERT_NEAR(state.values[i], value[i], 1e-6) << count << " " << i;
        ASSERT_EQ(state.rounded[i].bits, cuda::FromFloat<cuda::BFloat16>(state.values[i]).bits);
      }
    }
  }
}

TEST(AdamWOnGpu, LearningRateZeroChangesNoBitOfTheMasters) {
  State state(9);
  state.values[2] = -0.0F;
  state.SetGradient(1);
  const State before = state;
  AdamWPass pass = state.Pass(1, 0);
  pass.rounded = nullptr;
  RunStep(pass, cuda::ThreadOrder::kShuffled);
  for (size_t i = 0; i < state.values.size(); ++i) {
    EXPECT_EQ(cuda::BitsOf(state.values[i]), cuda::BitsOf(before.values[i]));
    EXPECT_NE(state.m[i], 0);
  }
}

}  // namespace
}  // namespace attnrl::learner
