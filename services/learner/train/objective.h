// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>

namespace attnrl::learner {

// services/learner/train/README.md, "Objective".

// Off-policy correction: what the ratio of PPO is against, and what becomes of the difference
// between the policy at the start of the batch's training and the one that sampled.
enum class Correction { kBehaviour, kTruncatedIs, kDecoupled };

// How the losses of tokens become that of a minibatch.
enum class Aggregation { kTokenMean, kSequenceMean, kSequenceSum };

struct ObjectiveOptions {
  Correction correction = Correction::kBehaviour;
  double importance_cap = 2;  // greatest importance weight; not of kBehaviour
  double clip_low = 0.2;
  double clip_high = 0.28;
  double dual_clip = 3;
  double kl_weight = 0.001;
  double entropy_weight = 0;
};

// Response tokens of one pass, each float32 [tokens].
struct ObjectiveInputs {
  at::Tensor logprobs;   // of the policy in training; carries the gradient
  at::Tensor entropy;    // of the policy in training; may carry the gradient
  at::Tensor behaviour;  // log-probs as measured when each token was sampled
  at::Tensor advantages;
  at::Tensor reference;  // log-probs of the reference model; undefined: no KL term
  // Log-probs of the policy at the start of the batch's training; undefined: those in training,
  // which it is before the first update. Not read with kBehaviour.
  at::Tensor proximal = {};
  at::Tensor weights = {};  // of each token's loss in the mean; undefined: 1
};

// Sums over tokens, so that passes and minibatches can be added up.
struct ObjectiveSums {
  double loss = 0;     // of the whole objective, not yet divided by the tokens
  double kl = 0;       // k3 to the reference model
  double entropy = 0;  // nats
  // Tokens whose gradient the clip of the ratio cut: negative advantage below 1 - clip_low or
  // beyond dual_clip, positive advantage above 1 + clip_high.
  double clipped_low = 0;
  double clipped_high = 0;
  double clipped_dual = 0;
  // Of the importance ratio u of a token (ObjectiveLoss), and how many are above importance_cap.
  double importance = 0;
  double truncated = 0;
  // Of the weight that the token's PPO term has for it: w, with kBehaviour u itself.
  double weights = 0;
  double squared_weights = 0;
  // Estimates of the KL divergence of the policy that sampled to the one that u is of, in nats:
  // -log u, and u - 1 - log u.
  double behaviour_k1 = 0;
  double behaviour_k3 = 0;
  // Greatest ones, not sums: of r and of u.
  double ratio_max = 0;
  double importance_max = 0;
  // Not measured by ObjectiveLoss: tokens, and the same with those of a prefix that leaves share
  // counted once.
  double tokens = 0;
  double distinct_tokens = 0;

  void Add(const ObjectiveSums& other);

  // All of them as numbers in the order above, to send to another process.
  static constexpr int kMeasured = 14;
  static constexpr int kFields = kMeasured + 2;
  std::array<double, kFields> Fields() const;
  static ObjectiveSums FromFields(std::span<const double, kFields> fields);
};

struct ObjectiveTerms {
  at::Tensor loss;      // a scalar to call backward() on
  at::Tensor measured;  // float64 [ObjectiveSums::kMeasured]: the first fields, on the device
};

// The objective's sum over the tokens of a pass divided by `denominator` (the tokens of the whole
// minibatch for their mean); passes of a minibatch add up.
//   r = u = exp(logprob - behaviour), w = 1                (kBehaviour)
//   r = exp(logprob - proximal), and from u = exp(proximal - behaviour)
//       w = min(u, importance_cap)                         (kTruncatedIs)
//       w = u <= importance_cap ? u : 0                    (kDecoupled)
//   clip = max(-A r, -A clamp(r, 1 - clip_low, 1 + clip_high))
//   loss = w (A < 0 ? min(clip, -A dual_clip) : clip)      (PPO; dual clip: Ye et al. 2020)
//        + kl_weight (exp(d) - d - 1),  d = reference - logprob    (k3: Schulman)
//        - entropy_weight entropy
// Differences of log-probs count as 20 at most, beyond which they have no gradient: exp stays
// finite, and no infinity meets the zero with which a clip would multiply it.
// There is at least one token. The host waits for nothing.
ObjectiveTerms ObjectiveLoss(const ObjectiveOptions& options, const ObjectiveInputs& inputs,
                             double denominator);

// Adds what another pass measured to `total` (undefined: nothing yet), on their device.
void AddMeasured(const at::Tensor& measured, at::Tensor& total);

}  // namespace attnrl::learner
