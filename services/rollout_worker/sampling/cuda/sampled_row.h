// SPDX-License-Identifier: Apache-2.0
#pragma once

// A row of logits as the sampler's kernels see it.
#include <cmath>

#include "common/kernels/cuda/exponential.h"
#include "common/kernels/cuda/kernel_language.h"
#include "services/rollout_worker/sampling/cuda/sample_rows.h"

namespace attnrl::rollout {

// Below every finite logit, and what stands for logits of which one isn't finite.
inline constexpr float kLeast = -INFINITY;
inline constexpr float kNotFinite = INFINITY;

// The largest logit of the row, kNotFinite where one isn't finite; the same in each thread.
template <int kWarps>
ATTNRL_DEVICE float LargestOfRow(const SampleRows& a, int64_t row, float (&parts)[kWarps]) {
  float most = kLeast;
  for (int64_t block = cuda::ThreadIndex(); block < a.blocks; block += kWarps * cuda::kWarp) {
    most = cuda::Most(most, a.block_largest[row * a.blocks + block]);
  }
  return cuda::BlockMost(most, parts);
}

class SampledRowView {
 public:
  ATTNRL_DEVICE SampledRowView(const SampleRows& a, int64_t row, float largest)
      : logits_(a.logits + row * a.vocabulary),
        largest_(largest),
        inverse_temperature_(
            a.temperatures[row] == 0 ? 1.0F : static_cast<float>(1 / a.temperatures[row])),
        truncates_(largest < kNotFinite && a.temperatures[row] != 0 && a.top_k != nullptr &&
                   (a.top_k[row] > 0 || a.top_p[row] < 1)) {}

  // Whether top-k or top-p decides what is drawn.
  ATTNRL_DEVICE bool truncates() const { return truncates_; }
  ATTNRL_DEVICE float Logit(int64_t id) const { return logits_[id]; }
  // (logit - largest) / T; T = 1 where the temperature is 0.
  ATTNRL_DEVICE float Scaled(int64_t id) const {
    return cuda::Times(cuda::Plus(logits_[id], -largest_), inverse_temperature_);
  }
  ATTNRL_DEVICE float Weight(int64_t id) const { return cuda::HostExp(Scaled(id)); }
  // A number that orders logits; -0 and 0 are one number.
  ATTNRL_DEVICE uint32_t Order(int64_t id) const {
    const uint32_t bits = cuda::BitsOf(cuda::Plus(logits_[id], 0.0F));
    return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  }
  // The weight of an id above `least`, its negative where it equals `least`, otherwise 0.
  ATTNRL_DEVICE float KeptWeight(int64_t id, float least) const {
    if (logits_[id] < least) return 0;
    return logits_[id] == least ? -Weight(id) : Weight(id);
  }

 private:
  const float* const logits_;
  const float largest_;
  const float inverse_temperature_;
  const bool truncates_;
};

// Of the ids that equal the least one kept, the first `ties` keep their weight, the others have
// none. One thread.
ATTNRL_DEVICE void SettleTies(float* weights, int64_t count, int32_t ties) {
  for (int64_t i = 0; i < count; ++i) {
    if (weights[i] < 0) weights[i] = ties-- > 0 ? -weights[i] : 0.0F;
  }
}

}  // namespace attnrl::rollout
