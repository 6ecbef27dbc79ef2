// SPDX-License-Identifier: Apache-2.0
#pragma once

// What kernels do with one row: parts, exponentials, dot products, maxima and sums, in the order of
// kernels.h.
#include "common/kernels/lanes.h"

namespace attnrl::kernels {
namespace {

inline constexpr int64_t kLanes = 16;

// The last, partial lanes of a row, filled up with `fill`.
template <typename T>
inline Lanes LoadPart(const T* p, int64_t count, T fill) {
  T part[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) part[i] = i < count ? p[i] : fill;
  return Lanes::Load(part);
}

inline void StorePart(Lanes lanes, float* p, int64_t count) {
  float part[kLanes];
  lanes.Store(part);
  for (int64_t i = 0; i < count; ++i) p[i] = part[i];
}

// exp(x) to about one unit in the last place, x clamped to where the result is a normal number:
// x = n ln 2 + r with |r| <= ln 2 / 2, and Cephes' polynomial for exp(r).
inline Lanes Exp(Lanes x) {
  // Bounds first: of two numbers one of which is NaN, Min and Max give the second.
  x = Min(Lanes::Broadcast(88.0F), Max(Lanes::Broadcast(-87.3F), x));
  const Lanes n = Round(Mul(x, Lanes::Broadcast(1.44269504088896341F)));
  Lanes r = Fma(n, Lanes::Broadcast(-0.693359375F), x);
  r = Fma(n, Lanes::Broadcast(2.12194440e-4F), r);
  Lanes p = Lanes::Broadcast(1.9875691500e-4F);
  p = Fma(p, r, Lanes::Broadcast(1.3981999507e-3F));
  p = Fma(p, r, Lanes::Broadcast(8.3334519073e-3F));
  p = Fma(p, r, Lanes::Broadcast(4.1665795894e-2F));
  p = Fma(p, r, Lanes::Broadcast(1.6666665459e-1F));
  p = Fma(p, r, Lanes::Broadcast(5.0000001201e-1F));
  p = Add(Fma(p, Mul(r, r), r), Lanes::Broadcast(1.0F));
  return Mul(p, PowerOfTwo(n));
}

template <typename A, typename B>
inline float Dot(const A* a, const B* b, int64_t n) {
  Lanes sum = Lanes::Broadcast(0);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum = Fma(Lanes::Load(a + i), Lanes::Load(b + i), sum);
  if (i < n) sum = Fma(LoadPart(a + i, n - i, A{0}), LoadPart(b + i, n - i, B{0}), sum);
  return Sum(sum);
}

inline float MaxOf(const float* x, int64_t n) {
  Lanes lanes = Lanes::Broadcast(x[0]);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) lanes = Max(lanes, Lanes::Load(x + i));
  float each[kLanes];
  lanes.Store(each);
  float max = x[0];
  for (float lane : each) max = lane > max ? lane : max;
  for (; i < n; ++i) max = x[i] > max ? x[i] : max;
  return max;
}

inline void DivideAll(float* x, int64_t n, float by) {
  const Lanes divisor = Lanes::Broadcast(by);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Div(Lanes::Load(x + i), divisor).Store(x + i);
  for (; i < n; ++i) x[i] /= by;
}

// The sum of exp(x - max).
inline float ExpSum(const float* x, int64_t n, float max) {
  const Lanes shift = Lanes::Broadcast(-max);
  Lanes sum = Lanes::Broadcast(0);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum = Add(sum, Exp(Add(Lanes::Load(x + i), shift)));
  if (i < n) {
    float part[kLanes] = {};
    StorePart(Exp(Add(LoadPart(x + i, n - i, max), shift)), part, n - i);
    sum = Add(sum, Lanes::Load(part));
  }
  return Sum(sum);
}

// y = exp(x - max), and its sum; y may be x.
inline float ExpSum(const float* x, int64_t n, float max, float* y) {
  const Lanes shift = Lanes::Broadcast(-max);
  Lanes sum = Lanes::Broadcast(0);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes e = Exp(Add(Lanes::Load(x + i), shift));
    e.Store(y + i);
    sum = Add(sum, e);
  }
  if (i < n) {
    StorePart(Exp(Add(LoadPart(x + i, n - i, max), shift)), y + i, n - i);
    sum = Add(sum, LoadPart(y + i, n - i, 0.0F));
  }
  return Sum(sum);
}

}  // namespace
}  // namespace attnrl::kernels
