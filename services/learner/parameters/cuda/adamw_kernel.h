// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bound by bytes: 28 a parameter, 30 with the rounded copy. A thread has four neighbours.
#include "services/learner/parameters/cuda/adamw_pass.h"

namespace attnrl::learner {

struct AdamWKernel {
  using Arguments = AdamWPass;
  static constexpr int kThreads = 256;
  static constexpr int kEach = 4;
  struct Shared {};

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    const int64_t first = (int64_t{cuda::BlockX()} * kThreads + cuda::ThreadIndex()) * kEach;
    const float scale = a.gradient_scale == nullptr ? 1.0F : *a.gradient_scale;
    if (first + kEach <= a.count) {
      auto value = cuda::Load<kEach>(a.values + first);
      auto m = cuda::Load<kEach>(a.first_moment + first);
      auto v = cuda::Load<kEach>(a.second_moment + first);
      const auto gradient = cuda::Load<kEach>(a.gradient + first);
      cuda::Several<cuda::BFloat16, kEach> rounded;
      for (int i = 0; i < kEach; ++i) {
        Step(a, gradient.of[i] * scale, value.of[i], m.of[i], v.of[i]);
        rounded.of[i] = cuda::FromFloat<cuda::BFloat16>(value.of[i]);
      }
      cuda::Store(a.first_moment + first, m);
      cuda::Store(a.second_moment + first, v);
      if (a.learning_rate != 0) cuda::Store(a.values + first, value);
      if (a.rounded != nullptr) cuda::Store(a.rounded + first, rounded);
      return;
    }
    for (int64_t i = first; i < a.count; ++i) {
      float value = a.values[i];
      Step(a, a.gradient[i] * scale, value, a.first_moment[i], a.second_moment[i]);
      if (a.learning_rate != 0) a.values[i] = value;
      if (a.rounded != nullptr) a.rounded[i] = cuda::FromFloat<cuda::BFloat16>(value);
    }
  }

 private:
  ATTNRL_DEVICE static void Step(const Arguments& a, float gradient, float& value, float& m,
                                 float& v) {
    m += (1 - a.beta1) * (gradient - m);
    v += (1 - a.beta2) * (gradient * gradient - v);
    const float step = m * a.unbias1 / (cuda::SquareRoot(v * a.unbias2) + a.epsilon);
    value -= a.learning_rate * (a.weight_decay * value + step);
  }
};

}  // namespace attnrl::learner
