// SPDX-License-Identifier: Apache-2.0
#pragma once

// From logits to log-probs and entropies and back, a block of threads for each row. Bound by the
// bytes of the logits, which neighbouring threads read side by side; sums are kept relative to the
// largest logit so far, so that one pass is enough. Every sum has one order.
#include <cmath>

#include "common/kernels/cuda/kernel_language.h"
#include "services/learner/train/cuda/score_rows.h"

namespace attnrl::learner {

// Sums over some logits z: of exp(z - largest), and of that times (z - largest).
struct SoftmaxSums {
  float largest;
  float sum;
  float weighted;

  // With the sums brought to a larger logit; those of no logit stay 0.
  ATTNRL_DEVICE void Raise(float to) {
    if (!(largest < to)) return;
    const float shift = sum > 0 ? largest - to : 0.0F;
    const float factor = cuda::Exp2(shift * cuda::kLog2E);
    weighted = (weighted + sum * shift) * factor;
    sum *= factor;
    largest = to;
  }
  ATTNRL_DEVICE void Add(SoftmaxSums other) {
    const float most = cuda::Most(largest, other.largest);
    Raise(most);
    other.Raise(most);
    sum += other.sum;
    weighted += other.weighted;
  }
};

struct ScoreRowsKernel {
  using Arguments = ScoreRows;
  static constexpr int kWarps = 16;
  static constexpr int kThreads = kWarps * cuda::kWarp;
  struct Shared {
    SoftmaxSums parts[kWarps];
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const int64_t row = cuda::BlockX();
    const float* const logits = a.logits + row * a.vocabulary;
    SoftmaxSums sums = {-INFINITY, 0, 0};
    for (int64_t id = cuda::ThreadIndex(); id < a.vocabulary; id += kThreads) {
      sums.Add({logits[id] * a.inverse_temperature, 1, 0});
    }
    for (int mask = cuda::kWarp / 2; mask > 0; mask /= 2) {
      const SoftmaxSums other = {cuda::ShuffleXor(sums.largest, mask),
                                 cuda::ShuffleXor(sums.sum, mask),
                                 cuda::ShuffleXor(sums.weighted, mask)};
      sums.Add(other);
    }
    if (cuda::LaneIndex() == 0) shared.parts[cuda::WarpIndex()] = sums;
    cuda::SyncBlock();
    sums = shared.parts[0];
    for (int warp = 1; warp < kWarps; ++warp) sums.Add(shared.parts[warp]);
    const float log_of_sum = cuda::Log(sums.sum);
    const float log_sum = sums.largest + log_of_sum;
    if (cuda::ThreadIndex() == 0) {
      a.log_sum[row] = log_sum;
      if (a.entropy != nullptr) a.entropy[row] = log_of_sum - sums.weighted / sums.sum;
    }
    const int32_t last = a.first_token[row + 1];
    for (int32_t t = a.first_token[row] + cuda::ThreadIndex(); t < last; t += kThreads) {
      a.logprobs[t] = logits[a.ids[t]] * a.inverse_temperature - log_sum;
    }
  }
};

// With p = softmax(z): d logprob(t) / dz = onehot(t) - p, d entropy / dz = -p (log p + entropy).
struct ScoreGradientKernel {
  using Arguments = ScoreRows;
  static constexpr int kThreads = 512;
  struct Shared {};

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    const int64_t row = cuda::BlockX();
    const int32_t first = a.first_token[row];
    const int32_t last = a.first_token[row + 1];
    float of_logprobs = 0;
    float of_entropy = 0;
    for (int32_t t = first; t < last; ++t) {
      of_logprobs += a.logprob_gradient[t];
      if (a.entropy_gradient != nullptr) of_entropy += a.entropy_gradient[t];
    }
    float* const logits = a.logits + row * a.vocabulary;
    const float log_sum = a.log_sum[row];
    const float entropy = a.entropy_gradient != nullptr ? a.entropy[row] : 0.0F;
    for (int64_t id = cuda::ThreadIndex(); id < a.vocabulary; id += kThreads) {
      const float logprob = logits[id] * a.inverse_temperature - log_sum;
      const float p = cuda::Exp2(logprob * cuda::kLog2E);
      logits[id] = -p * (of_logprobs + of_entropy * (logprob + entropy)) * a.inverse_temperature;
    }
    cuda::SyncBlock();
    // One thread, since two tokens of a row may be the same.
    if (cuda::ThreadIndex() != 0) return;
    for (int32_t t = first; t < last; ++t) {
      logits[a.ids[t]] += a.logprob_gradient[t] * a.inverse_temperature;
    }
  }
};

}  // namespace attnrl::learner
