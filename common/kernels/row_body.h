// SPDX-License-Identifier: Apache-2.0
#pragma once

// The row kernels of kernels.h over the sixteen lanes of lanes.h. Included once by each
// kernels_<isa>.cc.
#include "common/kernels/kernels.h"
#include "common/kernels/lanes.h"
#include "common/kernels/row_math.h"

namespace attnrl::kernels {
namespace {

void RmsNorm(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t n,
             float eps, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += x_stride, y += n) {
    const float mean = Dot(x, x, n) / static_cast<float>(n);
    const float inverse = 1.0F / __builtin_sqrtf(mean + eps);
    for (int64_t i = 0; i < n; ++i) y[i] = weight[i] * (x[i] * inverse);
  }
}

void AddTo(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

inline Lanes GatedSilu(Lanes gate, Lanes up) {
  const Lanes one = Lanes::Broadcast(1);
  return Mul(Div(gate, Add(one, Exp(Mul(gate, Lanes::Broadcast(-1))))), up);
}

void GatedSiluOf(const float* gate, const float* up, int64_t n, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    GatedSilu(Lanes::Load(gate + i), Lanes::Load(up + i)).Store(y + i);
  }
  if (i == n) return;
  StorePart(GatedSilu(LoadPart(gate + i, n - i, 0.0F), LoadPart(up + i, n - i, 0.0F)), y + i,
            n - i);
}

void Rotate(const float* x, const float* cosine, const float* sine, int64_t heads, int64_t n,
            float* y) {
  const int64_t half = n / 2;
  for (int64_t h = 0; h < heads; ++h, x += n, y += n) {
    int64_t i = 0;
    for (; i + kLanes <= half; i += kLanes) {
      const auto at = [&](const float* p) { return Lanes::Load(p + i); };
      const Lanes low = at(x);
      const Lanes high = at(x + half);
      Add(Mul(low, at(cosine)), Mul(high, at(sine))).Store(y + i);
      Add(Mul(high, at(cosine + half)), Mul(low, at(sine + half))).Store(y + half + i);
    }
    for (; i < half; ++i) {
      const float low = x[i];
      const float high = x[i + half];
      y[i] = low * cosine[i] + high * sine[i];
      y[i + half] = high * cosine[i + half] + low * sine[i + half];
    }
  }
}

void LogSoftmax(const float* x, int64_t rows, int64_t n, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const float max = MaxOf(x, n);
    // In double, so that what libms differ in lies below the float that it is rounded to.
    const float log = static_cast<float>(__builtin_log(static_cast<double>(ExpSum(x, n, max))));
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - max) - log;
  }
}

}  // namespace
}  // namespace attnrl::kernels
