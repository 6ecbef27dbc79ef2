// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/status/status.h"

namespace attnrl::rollout {
namespace {

// The largest logit's lowest id; -1 when a logit is NaN or infinite.
int32_t ArgMax(std::span<const float> logits) {
  size_t best = 0;
  bool finite = true;
  for (size_t id = 0; id < logits.size(); ++id) {
    finite = finite && std::isfinite(logits[id]);
    if (logits[id] > logits[best]) best = id;
  }
  return finite ? static_cast<int32_t>(best) : -1;
}

// The first id at which the running sum of `weights` exceeds `target`. Rounding may leave the
// target at the very end: then the last id with a weight.
int32_t InverseCumulative(const std::vector<double>& weights, double target) {
  double sum = 0;
  size_t last = 0;
  for (size_t id = 0; id < weights.size(); ++id) {
    if (weights[id] <= 0) continue;
    sum += weights[id];
    last = id;
    if (sum > target) break;
  }
  return static_cast<int32_t>(last);
}

double Sum(const std::vector<double>& weights) {
  double sum = 0;
  for (const double weight : weights) sum += weight;
  return sum;
}

}  // namespace

absl::StatusOr<SampledToken> Sampler::Sample(std::span<const float> logits,
                                             const SamplingParams& params, const RandomKey& key,
                                             uint32_t index) {
  const int32_t greedy = ArgMax(logits);
  if (greedy < 0) return absl::InternalError("the model's logits are not finite");
  const double temperature = params.temperature == 0 ? 1 : params.temperature;
  const double largest = logits[static_cast<size_t>(greedy)];
  weights_.resize(logits.size());
  double total = 0;
  double weighted = 0;  // sum of weight * scaled logit, for the entropy
  for (size_t id = 0; id < logits.size(); ++id) {
    const double scaled = (static_cast<double>(logits[id]) - largest) / temperature;
    const double weight = std::exp(scaled);
    weights_[id] = weight;
    total += weight;
    if (weight > 0) weighted += weight * scaled;
  }
  SampledToken token;
  token.id = greedy;
  if (params.temperature != 0) {
    double mass = total;
    if (Truncates(params)) {
      Truncate(logits, params, total);
      mass = Sum(weights_);
    }
    token.id = InverseCumulative(weights_, RandomUniform(key, index) * mass);
  }
  const double log_total = std::log(total);
  const double scaled =
      (static_cast<double>(logits[static_cast<size_t>(token.id)]) - largest) / temperature;
  token.logprob = static_cast<float>(scaled - log_total);
  token.entropy = static_cast<float>(log_total - weighted / total);
  return token;
}

// Sets the weights of all ids but the kept ones to 0. Most likely first, the lower id among equals;
// only as much of the order is worked out as is needed.
void Sampler::Truncate(std::span<const float> logits, const SamplingParams& params, double total) {
  order_.resize(logits.size());
  for (size_t id = 0; id < order_.size(); ++id) order_[id] = static_cast<int32_t>(id);
  const auto less_likely = [&logits](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)];
    const float y = logits[static_cast<size_t>(b)];
    return x != y ? x < y : a > b;
  };
  std::make_heap(order_.begin(), order_.end(), less_likely);
  const auto pop = [&] {
    std::pop_heap(order_.begin(), order_.end(), less_likely);
    const int32_t id = order_.back();
    order_.pop_back();
    return id;
  };
  kept_.clear();
  const size_t vocabulary = logits.size();
  const size_t limit =
      params.top_k > 0 ? std::min(static_cast<size_t>(params.top_k), vocabulary) : vocabulary;
  double mass = total;
  if (limit < vocabulary) {
    mass = 0;
    while (kept_.size() < limit) {
      kept_.push_back(pop());
      mass += weights_[static_cast<size_t>(kept_.back())];
    }
  }
  if (params.top_p < 1) {
    double sum = 0;
    size_t count = 0;
    while (count < limit && (count == 0 || sum < params.top_p * mass)) {
      if (count == kept_.size()) kept_.push_back(pop());
      sum += weights_[static_cast<size_t>(kept_[count++])];
    }
    kept_.resize(count);
  }
  if (kept_.empty()) return;
  std::sort(kept_.begin(), kept_.end());
  size_t next = 0;
  for (size_t id = 0; id < weights_.size(); ++id) {
    if (next < kept_.size() && kept_[next] == static_cast<int32_t>(id)) {
      ++next;
    } else {
      weights_[id] = 0;
    }
  }
}

}  // namespace attnrl::rollout
