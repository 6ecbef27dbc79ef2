// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/objective.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace attnrl::learner {
namespace {

double Sum(const at::Tensor& values) { return values.sum(at::kDouble).item<double>(); }

// std::max would drop a NaN, which has to stay visible.
double MaxOrNan(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b);
}

// exp(20) is far outside every clip, and its products are far from the end of float32.
constexpr double kMaxLogRatio = 20;

at::Tensor Ratio(const at::Tensor& above, const at::Tensor& below) {
  return (above - below).clamp_max(kMaxLogRatio).exp();
}

// The weight of each token's PPO term; no gradient goes through it.
at::Tensor ImportanceWeights(const ObjectiveOptions& options, const at::Tensor& proximal,
                             const at::Tensor& behaviour) {
  const at::Tensor ratio = Ratio(proximal, behaviour);
  if (options.correction == Correction::kTruncatedIs) {
    return ratio.clamp_max(options.importance_cap);
  }
  return at::where(ratio.le(options.importance_cap), ratio, at::zeros_like(ratio));
}

}  // namespace

void ObjectiveSums::Add(const ObjectiveSums& other) {
  loss += other.loss;
  kl += other.kl;
  entropy += other.entropy;
  clipped_low += other.clipped_low;
  clipped_high += other.clipped_high;
  clipped_dual += other.clipped_dual;
  ratio_max = MaxOrNan(ratio_max, other.ratio_max);
  tokens += other.tokens;
  distinct_tokens += other.distinct_tokens;
}

std::array<double, ObjectiveSums::kFields> ObjectiveSums::Fields() const {
  return {loss,
          kl,
          entropy,
          clipped_low,
          clipped_high,
          clipped_dual,
          ratio_max,
          static_cast<double>(tokens),
          static_cast<double>(distinct_tokens)};
}

ObjectiveSums ObjectiveSums::FromFields(std::span<const double, kFields> fields) {
  return {fields[0],
          fields[1],
          fields[2],
          fields[3],
          fields[4],
          fields[5],
          fields[6],
          static_cast<int64_t>(fields[7]),
          static_cast<int64_t>(fields[8])};
}

at::Tensor ObjectiveLoss(const ObjectiveOptions& options, const ObjectiveInputs& inputs,
                         double denominator, ObjectiveSums* sums) {
  const at::Tensor& advantages = inputs.advantages;
  const bool corrected = options.correction != Correction::kBehaviour;
  const at::Tensor proximal =
      inputs.proximal.defined() ? inputs.proximal : inputs.logprobs.detach();
  const at::Tensor ratio = Ratio(inputs.logprobs, corrected ? proximal : inputs.behaviour);
  const double low = 1 - options.clip_low, high = 1 + options.clip_high;
  const at::Tensor clip = at::maximum(-advantages * ratio, -advantages * ratio.clamp(low, high));
  const at::Tensor negative = advantages.lt(0);
  at::Tensor loss = at::where(negative, at::minimum(clip, -advantages * options.dual_clip), clip);
  if (corrected) loss = loss * ImportanceWeights(options, proximal, inputs.behaviour);
  if (inputs.reference.defined()) {
    const at::Tensor difference = (inputs.reference - inputs.logprobs).clamp_max(kMaxLogRatio);
    const at::Tensor kl = difference.exp() - difference - 1;
    sums->kl += Sum(kl.detach());
    loss = loss + options.kl_weight * kl;
  }
  if (options.entropy_weight != 0) loss = loss - options.entropy_weight * inputs.entropy;

  const at::Tensor measured = ratio.detach();
  sums->loss += Sum(loss.detach());
  sums->entropy += Sum(inputs.entropy.detach());
  sums->clipped_low += Sum(negative.logical_and(measured.lt(low)));
  sums->clipped_high += Sum(advantages.gt(0).logical_and(measured.gt(high)));
  sums->clipped_dual += Sum(negative.logical_and(measured.gt(options.dual_clip)));
  if (measured.numel() > 0) {
    sums->ratio_max = MaxOrNan(sums->ratio_max, measured.max().item<double>());
  }
  sums->tokens += measured.numel();
  if (inputs.weights.defined()) loss = loss * inputs.weights;
  return loss.sum() / denominator;
}

}  // namespace attnrl::learner
