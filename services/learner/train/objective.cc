// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/objective.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace attnrl::learner {
namespace {

// In the order of the fields.
constexpr double ObjectiveSums::*kSums[] = {
    &ObjectiveSums::loss,         &ObjectiveSums::kl,
    &ObjectiveSums::entropy,      &ObjectiveSums::clipped_low,
    &ObjectiveSums::clipped_high, &ObjectiveSums::clipped_dual,
    &ObjectiveSums::importance,   &ObjectiveSums::truncated,
    &ObjectiveSums::weights,      &ObjectiveSums::squared_weights,
    &ObjectiveSums::behaviour_k1, &ObjectiveSums::behaviour_k3};
constexpr double ObjectiveSums::*kGreatest[] = {&ObjectiveSums::ratio_max,
                                                &ObjectiveSums::importance_max};
constexpr double ObjectiveSums::*kCounts[] = {&ObjectiveSums::tokens,
                                              &ObjectiveSums::distinct_tokens};
static_assert(std::size(kSums) + std::size(kGreatest) == ObjectiveSums::kMeasured &&
              ObjectiveSums::kMeasured + std::size(kCounts) == ObjectiveSums::kFields);

at::Tensor Sum(const at::Tensor& values) { return values.detach().sum(at::kDouble); }

// std::max would drop a NaN, which has to stay visible.
double MaxOrNan(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b);
}

// Calls `visit` with every field in order.
template <typename Visit>
void ForEachField(Visit visit) {
  for (const auto field : kSums) visit(field);
  for (const auto field : kGreatest) visit(field);
  for (const auto field : kCounts) visit(field);
}

// exp(20) is far outside every clip, and its products are far from the end of float32.
constexpr double kMaxLogRatio = 20;

at::Tensor Ratio(const at::Tensor& above, const at::Tensor& below) {
  return (above - below).clamp_max(kMaxLogRatio).exp();
}

// The weight of each token's PPO term for its importance ratio; no gradient goes through it.
at::Tensor ImportanceWeights(const ObjectiveOptions& options, const at::Tensor& importance) {
  if (options.correction == Correction::kTruncatedIs) {
    return importance.clamp_max(options.importance_cap);
  }
  return at::where(importance.le(options.importance_cap), importance, at::zeros_like(importance));
}

}  // namespace

void ObjectiveSums::Add(const ObjectiveSums& other) {
  for (const auto field : kSums) this->*field += other.*field;
  for (const auto field : kGreatest) this->*field = MaxOrNan(this->*field, other.*field);
  for (const auto field : kCounts) this->*field += other.*field;
}

std::array<double, ObjectiveSums::kFields> ObjectiveSums::Fields() const {
  std::array<double, kFields> fields;
  size_t next = 0;
  ForEachField([&](double ObjectiveSums::*field) { fields[next++] = this->*field; });
  return fields;
}

ObjectiveSums ObjectiveSums::FromFields(std::span<const double, kFields> fields) {
  ObjectiveSums sums;
  size_t next = 0;
  ForEachField([&](double ObjectiveSums::*field) { sums.*field = fields[next++]; });
  return sums;
}

ObjectiveTerms ObjectiveLoss(const ObjectiveOptions& options, const ObjectiveInputs& inputs,
                             double denominator) {
  const at::Tensor& advantages = inputs.advantages;
  const bool corrected = options.correction != Correction::kBehaviour;
  const at::Tensor proximal =
      inputs.proximal.defined() ? inputs.proximal : inputs.logprobs.detach();
  const at::Tensor ratio = Ratio(inputs.logprobs, corrected ? proximal : inputs.behaviour);
  const double low = 1 - options.clip_low, high = 1 + options.clip_high;
  const at::Tensor clip = at::maximum(-advantages * ratio, -advantages * ratio.clamp(low, high));
  const at::Tensor negative = advantages.lt(0);
  at::Tensor loss = at::where(negative, at::minimum(clip, -advantages * options.dual_clip), clip);
  const at::Tensor importance =
      corrected ? Ratio(proximal, inputs.behaviour) : ratio.detach();  // u
  const at::Tensor weight = corrected ? ImportanceWeights(options, importance) : importance;
  if (corrected) loss = loss * weight;
  at::Tensor kl;
  if (inputs.reference.defined()) {
    const at::Tensor difference = (inputs.reference - inputs.logprobs).clamp_max(kMaxLogRatio);
    kl = difference.exp() - difference - 1;
    loss = loss + options.kl_weight * kl;
  }
  if (options.entropy_weight != 0) loss = loss - options.entropy_weight * inputs.entropy;

  const at::Tensor r = ratio.detach();
  const at::Tensor gap = inputs.behaviour - (corrected ? proximal : inputs.logprobs.detach());
  const at::Tensor entropy = Sum(inputs.entropy);
  ObjectiveTerms terms;
  terms.measured = at::stack(
      {Sum(loss), kl.defined() ? Sum(kl) : at::zeros_like(entropy), entropy,
       Sum(negative.logical_and(r.lt(low))), Sum(advantages.gt(0).logical_and(r.gt(high))),
       Sum(negative.logical_and(r.gt(options.dual_clip))), Sum(importance),
       Sum(importance.gt(options.importance_cap)), Sum(weight), Sum(weight.square()), Sum(gap),
       Sum((-gap).clamp_max(kMaxLogRatio).exp() - 1 + gap), r.max().to(at::kDouble),
       importance.max().to(at::kDouble)});
  if (inputs.weights.defined()) loss = loss * inputs.weights;
  terms.loss = loss.sum() / denominator;
  return terms;
}

void AddMeasured(const at::Tensor& measured, at::Tensor& total) {
  if (!total.defined()) {
    total = measured.clone();
    return;
  }
  constexpr auto kSummed = static_cast<int64_t>(std::size(kSums));
  constexpr auto kMost = static_cast<int64_t>(std::size(kGreatest));
  total.narrow(0, 0, kSummed).add_(measured.narrow(0, 0, kSummed));
  // Unlike std::max it keeps a NaN.
  const at::Tensor most = total.narrow(0, kSummed, kMost);
  most.copy_(at::maximum(most, measured.narrow(0, kSummed, kMost)));
}

}  // namespace attnrl::learner
