// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/sampling/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>

#include "services/rollout_worker/sampling/kernel.h"

namespace attnrl::rollout {
namespace {

// A key that orders floats as unsigned numbers; -0 and 0 are one number.
uint32_t OrderOf(float x) {
  const auto bits = std::bit_cast<uint32_t>(x + 0.0F);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}

float FromOrder(uint32_t order) {
  return std::bit_cast<float>((order >> 31) != 0 ? order & 0x7FFFFFFFU : ~order);
}

uint64_t MassOf(float weight) { return static_cast<uint64_t>(weight * kMassUnits); }

int32_t LowestIdOf(std::span<const float> logits, float largest) {
  return static_cast<int32_t>(std::find(logits.begin(), logits.end(), largest) - logits.begin());
}

// The first index at which the running sum exceeds `target`, which is below the sum of all; what
// was before it is taken off `target`. Rounding may leave the target at the very end: the last
// index then.
size_t FirstBeyond(std::span<const double> sums, double* target) {
  double before = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (before + sums[i] > *target || i + 1 == sums.size()) {
      *target -= before;
      return i;
    }
    before += sums[i];
  }
  return 0;
}

// The inverse of the cumulative distribution in one block, at the share `share` in [0, 1) of its
// weight. Among weights of which each is positive the last one always exceeds.
size_t Draw(std::span<const float> weights, double share) {
  double total = 0;
  for (const float weight : weights) total += weight;
  const double target = share * total;
  double sum = 0;
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    if (weights[i] > 0) last = i;
    if (sum > target) break;
  }
  return last;
}

}  // namespace

SampledToken Sampler::Sample(std::span<const float> logits, const SamplingParams& params,
                             const RandomKey& key, uint32_t index) {
  const SamplerKernel& kernel = GetSamplerKernel();
  const auto vocabulary = static_cast<int64_t>(logits.size());
  SampledToken token;
  float largest = 0;
  if (!kernel.largest(logits.data(), vocabulary, &largest)) return token;
  const double temperature = params.temperature == 0 ? 1 : params.temperature;
  const auto inverse = static_cast<float>(1 / temperature);
  const bool all_weights = params.temperature != 0 && Truncates(params);
  weights_.resize(all_weights ? logits.size() : static_cast<size_t>(kSamplerBlock));
  sums_.clear();
  double total = 0;
  double weighted = 0;
  for (int64_t begin = 0; begin < vocabulary; begin += kSamplerBlock) {
    const BlockSums block =
        kernel.weigh(logits.data() + begin, std::min(kSamplerBlock, vocabulary - begin), largest,
                     inverse, weights_.data() + (all_weights ? begin : 0));
    sums_.push_back(block.weight);
    total += block.weight;
    weighted += block.weighted;
  }
  if (params.temperature == 0) {
    token.id = LowestIdOf(logits, largest);
  } else if (all_weights) {
    token.id = DrawKept(logits, Truncate(logits, params), RandomUniform(key, index));
  } else {
    double target = RandomUniform(key, index) * total;
    const size_t block = FirstBeyond(sums_, &target);
    const auto begin = static_cast<int64_t>(block) * kSamplerBlock;
    const int64_t count = std::min(kSamplerBlock, vocabulary - begin);
    kernel.weigh(logits.data() + begin, count, largest, inverse, weights_.data());
    token.id = static_cast<int32_t>(begin) +
               static_cast<int32_t>(
                   Draw({weights_.data(), static_cast<size_t>(count)}, target / sums_[block]));
  }
  const double log_total = std::log(total);
  const double scaled =
      (static_cast<double>(logits[static_cast<size_t>(token.id)]) - largest) / temperature;
  token.logprob = static_cast<float>(scaled - log_total);
  token.entropy = static_cast<float>(log_total - weighted / total);
  return token;
}

Sampler::Kept Sampler::Truncate(std::span<const float> logits, const SamplingParams& params) {
  const auto vocabulary = static_cast<int64_t>(logits.size());
  const int64_t limit = params.top_k > 0 ? std::min(params.top_k, vocabulary) : vocabulary;
  Kept kept{-std::numeric_limits<float>::infinity(), 0, 0};
  if (limit < vocabulary) {
    kept = Largest(logits, limit, std::numeric_limits<uint64_t>::max());
  } else {
    for (const float weight : weights_) kept.mass += MassOf(weight);
  }
  if (params.top_p == 1) return kept;
  const double mass = std::ceil(params.top_p * static_cast<double>(kept.mass));
  return Largest(logits, limit, static_cast<uint64_t>(mass));
}

// The fewest largest logits, the lower id among equals, that are `count` or whose weights reach
// `mass`; at least one. Found without sorting: by the leading bits of their order first, then among
// those that are equal in these.
Sampler::Kept Sampler::Largest(std::span<const float> logits, int64_t count, uint64_t mass) {
  constexpr int kBits = 11;
  constexpr size_t kBuckets = size_t{1} << kBits;
  std::array<int64_t, kBuckets> counts;
  std::array<uint64_t, kBuckets> masses;
  members_.resize(logits.size());
  for (size_t id = 0; id < logits.size(); ++id) members_[id] = static_cast<int32_t>(id);
  Kept kept;
  int64_t above = 0;
  for (int shift = 32 - kBits;; shift = std::max(0, shift - kBits)) {
    const auto bucket_of = [&](int32_t id) {
      return (OrderOf(logits[static_cast<size_t>(id)]) >> shift) & (kBuckets - 1);
    };
    counts.fill(0);
    masses.fill(0);
    for (const int32_t id : members_) {
      ++counts[bucket_of(id)];
      masses[bucket_of(id)] += MassOf(weights_[static_cast<size_t>(id)]);
    }
    size_t bucket = kBuckets - 1;
    for (; bucket > 0; --bucket) {
      if (counts[bucket] == 0) continue;
      if (above + counts[bucket] >= count || kept.mass + masses[bucket] >= mass) break;
      above += counts[bucket];
      kept.mass += masses[bucket];
    }
    std::erase_if(members_, [&](int32_t id) { return bucket_of(id) != bucket; });
    if (shift == 0) break;
  }
  // Equal logits are left, by ascending id.
  kept.above = FromOrder(OrderOf(logits[static_cast<size_t>(members_.front())]));
  const uint64_t each = MassOf(weights_[static_cast<size_t>(members_.front())]);
  const auto equal = static_cast<int64_t>(members_.size());
  while (kept.ties < equal && above < count && (above == 0 || kept.mass < mass)) {
    ++kept.ties;
    ++above;
    kept.mass += each;
  }
  return kept;
}

// Sets the weights of what is not kept to 0 and draws by block, then in the block.
int32_t Sampler::DrawKept(std::span<const float> logits, const Kept& kept, double uniform) {
  int64_t ties = kept.ties;
  std::fill(sums_.begin(), sums_.end(), 0);
  double total = 0;
  for (size_t id = 0; id < logits.size(); ++id) {
    const bool keep = logits[id] > kept.above || (logits[id] == kept.above && ties-- > 0);
    if (!keep) {
      weights_[id] = 0;
      continue;
    }
    sums_[id / static_cast<size_t>(kSamplerBlock)] += weights_[id];
  }
  for (const double sum : sums_) total += sum;
  double target = uniform * total;
  const size_t block = FirstBeyond(sums_, &target);
  const size_t begin = block * static_cast<size_t>(kSamplerBlock);
  const size_t count = std::min(static_cast<size_t>(kSamplerBlock), logits.size() - begin);
  return static_cast<int32_t>(begin +
                              Draw({weights_.data() + begin, count}, target / sums_[block]));
}

}  // namespace attnrl::rollout
