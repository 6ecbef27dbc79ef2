// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/cuda/kernel_language.h"
#include "common/kernels/cuda/launch.h"

namespace attnrl::learner {

// A step of AdamW as AdamWStep (services/learner/parameters/adamw.h) on one stretch of the flat
// tensors, fused with what goes before and after it. All pointers are of the GPU and begin at a
// multiple of 16 bytes.
struct AdamWPass {
  float* values = nullptr;          // masters, [count]
  const float* gradient = nullptr;  // the same for the others
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  cuda::BFloat16* rounded = nullptr;  // the copy that the model computes with; null: there is none
  int64_t count = 0;
  const float* gradient_scale = nullptr;  // one number, of the clip of the norm; null: 1
  float learning_rate = 0;                // 0 moves the moments and leaves every bit of the masters
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  float weight_decay = 0;
  // 1 / (1 - beta^step) of each, for step from 1 on.
  float unbias1 = 1;
  float unbias2 = 1;
};

// One launch on `stream`. Until the trainer uses it, tests/bench/gpu/learner_check.cc calls it.
[[nodiscard]] cuda::LaunchError LaunchAdamW(const AdamWPass& pass, cuda::Stream stream);

}  // namespace attnrl::learner
