// SPDX-License-Identifier: Apache-2.0
#pragma once

// The gradients of the row kernels of kernels.h over the sixteen lanes of lanes.h. Included once by
// each kernels_<isa>.cc.
#include "common/kernels/kernels.h"
#include "common/kernels/lanes.h"
#include "common/kernels/row_math.h"

namespace attnrl::kernels {
namespace {

// The sum of a * b * c, rounded once more behind the first factor.
inline float Dot(const float* a, const float* b, const float* c, int64_t n) {
  Lanes sum = Lanes::Broadcast(0);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    sum = Fma(Mul(Lanes::Load(a + i), Lanes::Load(b + i)), Lanes::Load(c + i), sum);
  }
  if (i < n) {
    const auto part = [&](const float* p) { return LoadPart(p + i, n - i, 0.0F); };
    sum = Fma(Mul(part(a), part(b)), part(c), sum);
  }
  return Sum(sum);
}

// With s = 1 / sqrt(mean(x^2) + eps) and y = weight x s:
// dx = s weight dy - x s^3 / n sum(weight dy x), dweight = sum over rows of dy x s.
void RmsNormGradient(const float* x, const float* weight, const float* dy, const float* also,
                     int64_t rows, int64_t n, float eps, float* dx, float* dweight) {
  for (int64_t r = 0; r < rows; ++r, x += n, dy += n, dx += n) {
    const float mean = Dot(x, x, n) / static_cast<float>(n);
    const float inverse = 1.0F / __builtin_sqrtf(mean + eps);
    const float slope = Dot(weight, dy, x, n) * inverse * inverse * inverse / static_cast<float>(n);
    for (int64_t i = 0; i < n; ++i) {
      dx[i] = inverse * (weight[i] * dy[i]) - x[i] * slope;
      dweight[i] += dy[i] * (x[i] * inverse);
    }
    if (also == nullptr) continue;
    for (int64_t i = 0; i < n; ++i) dx[i] += also[i];
    also += n;
  }
}

// With s = 1 / (1 + exp(-gate)) and y = gate s up.
struct GateAndUp {
  Lanes gate, up;
};

inline GateAndUp GatedSiluSlope(Lanes gate, Lanes up, Lanes dy) {
  const Lanes one = Lanes::Broadcast(1);
  const Lanes s = Div(one, Add(one, Exp(Mul(gate, Lanes::Broadcast(-1)))));
  const Lanes silu = Mul(gate, s);
  // d silu / d gate = s + silu (1 - s)
  const Lanes slope = Fma(silu, Fma(s, Lanes::Broadcast(-1), one), s);
  return {Mul(Mul(dy, up), slope), Mul(dy, silu)};
}

void GatedSiluGradient(const float* gate, const float* up, const float* dy, int64_t n, float* dgate,
                       float* dup) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const GateAndUp d =
        GatedSiluSlope(Lanes::Load(gate + i), Lanes::Load(up + i), Lanes::Load(dy + i));
    d.gate.Store(dgate + i);
    d.up.Store(dup + i);
  }
  if (i == n) return;
  const auto part = [&](const float* p) { return LoadPart(p + i, n - i, 0.0F); };
  const GateAndUp d = GatedSiluSlope(part(gate), part(up), part(dy));
  StorePart(d.gate, dgate + i, n - i);
  StorePart(d.up, dup + i, n - i);
}

}  // namespace
}  // namespace attnrl::kernels
