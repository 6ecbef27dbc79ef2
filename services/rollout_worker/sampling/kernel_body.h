// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernels of kernel.h over sixteen lanes. Included once by each kernel_<isa>.cc, compiled with
// its flags and without floating-point contraction.
#include "common/kernels/row_math.h"
#include "services/rollout_worker/sampling/kernel.h"

namespace attnrl::rollout {
namespace {

using kernels::kLanes;
using kernels::Lanes;
using kernels::LoadPart;
using kernels::StorePart;

// x * 0 is 0 for a finite x and NaN for all others, and so is a sum of them.
bool LargestOf(const float* logits, int64_t n, float* largest) {
  const Lanes zero = Lanes::Broadcast(0);
  Lanes most = Lanes::Broadcast(logits[0]);
  Lanes sum = zero;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes x = Lanes::Load(logits + i);
    most = Max(most, x);
    sum = Fma(x, zero, sum);
  }
  if (i < n) {
    const Lanes x = LoadPart(logits + i, n - i, logits[0]);
    most = Max(most, x);
    sum = Fma(x, zero, sum);
  }
  float each[kLanes];
  most.Store(each);
  *largest = each[0];
  for (const float lane : each) *largest = lane > *largest ? lane : *largest;
  return Sum(sum) == 0;
}

BlockSums Weigh(const float* logits, int64_t n, float largest, float inverse_temperature,
                float* weights) {
  const Lanes shift = Lanes::Broadcast(-largest);
  const Lanes inverse = Lanes::Broadcast(inverse_temperature);
  Lanes sum = Lanes::Broadcast(0);
  Lanes weighted = Lanes::Broadcast(0);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes scaled = Mul(Add(Lanes::Load(logits + i), shift), inverse);
    const Lanes weight = Exp(scaled);
    weight.Store(weights + i);
    sum = Add(sum, weight);
    weighted = Fma(weight, scaled, weighted);
  }
  if (i < n) {
    const Lanes scaled = Mul(Add(LoadPart(logits + i, n - i, largest), shift), inverse);
    StorePart(Exp(scaled), weights + i, n - i);
    const Lanes weight = LoadPart(weights + i, n - i, 0.0F);
    sum = Add(sum, weight);
    weighted = Fma(weight, scaled, weighted);
  }
  return {Sum(sum), Sum(weighted)};
}

}  // namespace
}  // namespace attnrl::rollout
