// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/objective.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <vector>

namespace attnrl::learner {
namespace {

struct Token {
  double logprob, behaviour, advantage, reference, entropy;
  double proximal = 0;
};

// The objective of one token, written independently from services/learner/train/README.md
// ("Objective") in float64.
double TokenLoss(const ObjectiveOptions& options, const Token& token, double logprob) {
  const bool corrected = options.correction != Correction::kBehaviour;
  const double importance = std::exp(token.proximal - token.behaviour);
  double weight = 1;
  if (options.correction == Correction::kTruncatedIs) {
    weight = std::min(importance, options.importance_cap);
  } else if (corrected) {
    weight = importance <= options.importance_cap ? importance : 0;
  }
  const double ratio = std::exp(logprob - (corrected ? token.proximal : token.behaviour));
  const double clipped = std::min(std::max(ratio, 1 - options.clip_low), 1 + options.clip_high);
  const double surrogate = std::min(token.advantage * ratio, token.advantage * clipped);
  const double dual =
      token.advantage < 0 ? std::max(surrogate, options.dual_clip * token.advantage) : surrogate;
  const double kl = std::exp(token.reference - logprob) - (token.reference - logprob) - 1;
  return -dual * weight + options.kl_weight * kl - options.entropy_weight * token.entropy;
}

// Ratios from 0.4 to 5 with both signs of the advantage, none on a corner of the clip.
std::vector<Token> Tokens() {
  std::vector<Token> tokens;
  for (double ratio : {0.4, 0.79, 0.9, 1.0, 1.1, 1.27, 1.5, 2.9, 3.1, 5.0}) {
    for (double advantage : {-1.3, -0.2, 0.0, 0.4, 2.0}) {
      tokens.push_back({std::log(ratio) - 1.1, -1.1, advantage, -0.7, 0.9});
    }
  }
  return tokens;
}

at::Tensor Column(const std::vector<Token>& tokens, double Token::*field) {
  std::vector<double> values;
  for (const Token& token : tokens) values.push_back(token.*field);
  return at::tensor(values, at::kDouble);
}

ObjectiveInputs Inputs(const std::vector<Token>& tokens) {
  return {.logprobs = Column(tokens, &Token::logprob).set_requires_grad(true),
          .entropy = Column(tokens, &Token::entropy),
          .behaviour = Column(tokens, &Token::behaviour),
          .advantages = Column(tokens, &Token::advantage),
          .reference = Column(tokens, &Token::reference)};
}

// What was measured, as numbers.
ObjectiveSums Measured(const at::Tensor& measured) {
  std::array<double, ObjectiveSums::kFields> fields = {};
  EXPECT_EQ(measured.numel(), ObjectiveSums::kMeasured);
  std::copy_n(measured.const_data_ptr<double>(), ObjectiveSums::kMeasured, fields.begin());
  return ObjectiveSums::FromFields(fields);
}

constexpr ObjectiveOptions kOptions{.kl_weight = 0.05, .entropy_weight = 0.01};

TEST(ObjectiveLoss, EqualsAnIndependentComputationAndItsFiniteDifferences) {
  const std::vector<Token> tokens = Tokens();
  ObjectiveInputs inputs = Inputs(tokens);
  const double denominator = 123;
  const auto [loss, measured] = ObjectiveLoss(kOptions, inputs, denominator);
  loss.backward();
  double expected = 0;
  const at::Tensor gradient = inputs.logprobs.grad();
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    expected += TokenLoss(kOptions, token, token.logprob);
    constexpr double kStep = 1e-6;
    const double slope = (TokenLoss(kOptions, token, token.logprob + kStep) -
                          TokenLoss(kOptions, token, token.logprob - kStep)) /
                         (2 * kStep);
    EXPECT_NEAR(gradient[static_cast<int64_t>(i)].item<double>(), slope / denominator, 1e-9)
        << "ratio " << std::exp(token.logprob - token.behaviour) << ", advantage "
        << token.advantage;
  }
  EXPECT_NEAR(loss.item<double>(), expected / denominator, 1e-12);
  EXPECT_NEAR(Measured(measured).loss, expected, 1e-10);
}

TEST(ObjectiveLoss, CountsWhatTheClipCuts) {
  ObjectiveInputs inputs = Inputs(Tokens());
  const ObjectiveSums sums = Measured(ObjectiveLoss(kOptions, inputs, 1).measured);
  EXPECT_EQ(sums.clipped_low, 2 * 2);   // ratios 0.4, 0.79 with two negative advantages
  EXPECT_EQ(sums.clipped_high, 4 * 2);  // ratios from 1.5 on with two positive advantages
  EXPECT_EQ(sums.clipped_dual, 2 * 2);  // ratios 3.1, 5
  EXPECT_NEAR(sums.ratio_max, 5.0, 1e-12);
}

TEST(ObjectiveLoss, PassesAddUpToTheWhole) {
  const std::vector<Token> tokens = Tokens();
  ObjectiveInputs whole = Inputs(tokens);
  const auto [loss, measured] = ObjectiveLoss(kOptions, whole, 50);
  at::Tensor added;
  double parts = 0;
  for (auto [begin, end] : {std::pair<long, long>{0, 17}, {17, 18}, {18, 50}}) {
    ObjectiveInputs part = Inputs({tokens.begin() + begin, tokens.begin() + end});
    const ObjectiveTerms terms = ObjectiveLoss(kOptions, part, 50);
    parts += terms.loss.item<double>();
    AddMeasured(terms.measured, added);
  }
  const ObjectiveSums whole_sums = Measured(measured), sums = Measured(added);
  EXPECT_NEAR(parts, loss.item<double>(), 1e-12);
  EXPECT_NEAR(sums.loss, whole_sums.loss, 1e-10);
  EXPECT_NEAR(sums.kl, whole_sums.kl, 1e-10);
  EXPECT_EQ(sums.clipped_high, whole_sums.clipped_high);
  EXPECT_EQ(sums.ratio_max, whole_sums.ratio_max);
}

TEST(ObjectiveLoss, WithoutAReferenceHasNoKlTerm) {
  ObjectiveInputs inputs = Inputs(Tokens());
  inputs.reference = at::Tensor();
  const auto [loss, measured] = ObjectiveLoss(kOptions, inputs, 1);
  ObjectiveOptions without = kOptions;
  without.kl_weight = 0;
  double expected = 0;
  for (const Token& token : Tokens()) expected += TokenLoss(without, token, token.logprob);
  EXPECT_NEAR(loss.item<double>(), expected, 1e-10);
  EXPECT_EQ(Measured(measured).kl, 0);
}

// The tokens above with a proximal policy between the one that sampled and the one in training.
std::vector<Token> StaleTokens() {
  std::vector<Token> tokens;
  for (double staleness : {-1.5, -0.1, 0.0, 0.6, 0.8, 3.0}) {
    for (Token token : Tokens()) {
      token.proximal = token.behaviour;
      token.behaviour -= staleness;
      tokens.push_back(token);
    }
  }
  return tokens;
}

TEST(ObjectiveLoss, CorrectsForTheDistanceBetweenBehaviourAndProximalPolicy) {
  for (const Correction correction : {Correction::kTruncatedIs, Correction::kDecoupled}) {
    ObjectiveOptions options = kOptions;
    options.correction = correction;
    const std::vector<Token> tokens = StaleTokens();
    ObjectiveInputs inputs = Inputs(tokens);
    inputs.proximal = Column(tokens, &Token::proximal);
    const at::Tensor loss = ObjectiveLoss(options, inputs, 1).loss;
    loss.backward();
    double expected = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      expected += TokenLoss(options, tokens[i], tokens[i].logprob);
      constexpr double kStep = 1e-6;
      const double slope = (TokenLoss(options, tokens[i], tokens[i].logprob + kStep) -
                            TokenLoss(options, tokens[i], tokens[i].logprob - kStep)) /
                           (2 * kStep);
      EXPECT_NEAR(inputs.logprobs.grad()[static_cast<int64_t>(i)].item<double>(), slope, 1e-8) << i;
    }
    EXPECT_NEAR(loss.item<double>(), expected, 1e-10);
  }
}

TEST(ObjectiveLoss, MeasuresHowFarTheProximalPolicyIsFromTheOneThatSampled) {
  for (const Correction correction :
       {Correction::kBehaviour, Correction::kTruncatedIs, Correction::kDecoupled}) {
    ObjectiveOptions options = kOptions;
    options.correction = correction;
    const std::vector<Token> tokens = StaleTokens();
    ObjectiveInputs inputs = Inputs(tokens);
    inputs.proximal = Column(tokens, &Token::proximal);
    const ObjectiveSums sums = Measured(ObjectiveLoss(options, inputs, 1).measured);
    ObjectiveSums expected;
    for (const Token& token : tokens) {
      const bool corrected = correction != Correction::kBehaviour;
      const double log = (corrected ? token.proximal : token.logprob) - token.behaviour;
      const double u = std::exp(log);
      double weight = u;
      if (corrected && u > options.importance_cap) {
        weight = correction == Correction::kTruncatedIs ? options.importance_cap : 0;
      }
      expected.importance += u;
      expected.truncated += u > options.importance_cap ? 1 : 0;
      expected.weights += weight;
      expected.squared_weights += weight * weight;
      expected.behaviour_k1 -= log;
      expected.behaviour_k3 += u - 1 - log;
      expected.importance_max = std::max(expected.importance_max, u);
    }
    EXPECT_NEAR(sums.importance, expected.importance, 1e-9);
    EXPECT_EQ(sums.truncated, expected.truncated);
    EXPECT_NEAR(sums.weights, expected.weights, 1e-9);
    EXPECT_NEAR(sums.squared_weights, expected.squared_weights, 1e-9);
    EXPECT_NEAR(sums.behaviour_k1, expected.behaviour_k1, 1e-9);
    EXPECT_NEAR(sums.behaviour_k3, expected.behaviour_k3, 1e-9);
    EXPECT_NEAR(sums.importance_max, expected.importance_max, 1e-9);
  }
}

TEST(ObjectiveLoss, TakesThePolicyInTrainingForTheProximalOneBeforeTheFirstUpdate) {
  ObjectiveOptions options = kOptions;
  options.correction = Correction::kTruncatedIs;
  std::vector<Token> tokens = Tokens();
  for (Token& token : tokens) token.proximal = token.logprob;
  ObjectiveInputs inputs = Inputs(tokens), told = Inputs(tokens);
  told.proximal = Column(tokens, &Token::proximal);
  ObjectiveLoss(options, inputs, 1).loss.backward();
  ObjectiveLoss(options, told, 1).loss.backward();
  EXPECT_TRUE(inputs.logprobs.grad().equal(told.logprobs.grad()));
}

TEST(ObjectiveLoss, StaysFiniteInFloat32WhereLogRatiosAreBeyondExp) {
  for (const Correction correction :
       {Correction::kBehaviour, Correction::kTruncatedIs, Correction::kDecoupled}) {
    ObjectiveOptions options = kOptions;
    options.correction = correction;
    for (const double far : {-300.0, -89.0, 89.0, 300.0}) {
      std::vector<Token> tokens;
      for (const double advantage : {-1.0, 0.0, 1.0}) {
        tokens.push_back({far, 0, advantage, 0, 0.5, 0});
        tokens.push_back({0, 0, advantage, far, 0.5, far});
      }
      ObjectiveInputs inputs = Inputs(tokens);
      inputs.proximal = Column(tokens, &Token::proximal);
      for (at::Tensor* column : {&inputs.logprobs, &inputs.entropy, &inputs.behaviour,
                                 &inputs.advantages, &inputs.reference, &inputs.proximal}) {
        *column = column->detach().to(at::kFloat);
      }
      inputs.logprobs.set_requires_grad(true);
      const auto [loss, measured] = ObjectiveLoss(options, inputs, 1);
      loss.backward();
      EXPECT_TRUE(std::isfinite(loss.item<float>())) << far;
      EXPECT_TRUE(inputs.logprobs.grad().isfinite().all().item<bool>()) << far;
      EXPECT_TRUE(measured.isfinite().all().item<bool>()) << far;
    }
  }
}

TEST(ObjectiveLoss, OfLogRatiosInRangeHasTheBitsThatItHasWithoutTheirLimit) {
  const auto inputs = [] {
    ObjectiveInputs made = Inputs(Tokens());
    for (at::Tensor* column :
         {&made.logprobs, &made.behaviour, &made.advantages, &made.reference}) {
      *column = column->detach().to(at::kFloat);
    }
    made.logprobs.set_requires_grad(true);
    return made;
  };
  ObjectiveOptions options;
  options.kl_weight = 0.05;
  const ObjectiveInputs found = inputs(), expected = inputs();
  ObjectiveLoss(options, found, 123).loss.backward();
  const at::Tensor& advantages = expected.advantages;
  const at::Tensor ratio = (expected.logprobs - expected.behaviour).exp();
  const at::Tensor clip = at::maximum(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.28));
  const at::Tensor ppo =
      at::where(advantages.lt(0), at::minimum(clip, -advantages * options.dual_clip), clip);
  const at::Tensor difference = expected.reference - expected.logprobs;
  const at::Tensor kl = difference.exp() - difference - 1;
  ((ppo + options.kl_weight * kl).sum() / 123).backward();
  EXPECT_TRUE(found.logprobs.grad().equal(expected.logprobs.grad()));
}

TEST(ObjectiveLoss, WeighsTheLossOfEachTokenButNotItsStatistics) {
  const std::vector<Token> tokens = Tokens();
  ObjectiveInputs plain = Inputs(tokens), weighted = Inputs(tokens);
  weighted.weights = at::full({static_cast<int64_t>(tokens.size())}, 0.25, at::kDouble);
  const ObjectiveTerms terms = ObjectiveLoss(kOptions, plain, 1);
  const ObjectiveTerms found = ObjectiveLoss(kOptions, weighted, 1);
  EXPECT_NEAR(found.loss.item<double>(), terms.loss.item<double>() / 4, 1e-12);
  EXPECT_TRUE(found.measured.equal(terms.measured));
}

TEST(ObjectiveSums, KeepANonFiniteRatioVisible) {
  at::Tensor added = at::ones({ObjectiveSums::kMeasured}, at::kDouble);
  for (const double ratio : {std::nan(""), 3.0}) {
    at::Tensor next = at::ones_like(added);
    next[ObjectiveSums::kMeasured - 2] = ratio;
    AddMeasured(next, added);
  }
  EXPECT_TRUE(std::isnan(Measured(added).ratio_max));
  ObjectiveSums sums{.ratio_max = 2};
  sums.Add({.ratio_max = NAN});
  sums.Add({.ratio_max = 3});
  EXPECT_TRUE(std::isnan(sums.ratio_max));
}

}  // namespace
}  // namespace attnrl::learner
