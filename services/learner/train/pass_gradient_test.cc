// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/pass_gradient.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/attention/dense_attention.h"
#include "common/base/philox.h"
#include "common/model/files/weights.h"
#include "common/model/testing/reference_scores.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/pass_sequences.h"
#include "services/learner/testing/training_batches.h"

namespace attnrl::learner {
namespace {

// A prompt, responses and continuations in segments of 300 tokens, as a long run has them.
const std::vector<Sequence>& Long() {
  static const std::vector<Sequence> sequences = [] {
    RandomStream random({.seed = 3});
    const auto tokens = [&](size_t count) {
      std::vector<int32_t> ids;
      while (ids.size() < count) ids.push_back(static_cast<int32_t>(random.Below(32)));
      return ids;
    };
    std::vector<Sequence> all;
    const std::vector<int32_t> prompt = tokens(300);
    for (int response = 0; response < 2; ++response) {
      all.push_back({prompt, tokens(600)});
      for (int child = 0; child < 2; ++child) {
        const std::vector<int32_t>& parent =
            all[all.size() - 1 - static_cast<size_t>(child)].response;
        Sequence leaf = {prompt, {parent.begin(), parent.begin() + 300}};
        for (const int32_t id : tokens(300)) leaf.response.push_back(id);
        all.push_back(leaf);
      }
    }
    return all;
  }();
  return sequences;
}

class PassGradientTest : public ::testing::Test {
 protected:
  PassGradientTest() {
    WriteTinyModel(folder_.path());
    config_ = TinyConfig(folder_.path());
    config_.max_position_embeddings = 1024;
    weights_ = model::RandomTensors(config_, 3, model::DType::kFloat32);
  }

  struct Result {
    model::TokenScores scores;
    at::Tensor gradient;  // of all tensors, flat, in the order of their names
  };

  // Of each token, so that every score counts with a weight of its own.
  static at::Tensor WeightsOf(const Pass& pass) {
    return at::arange(pass.targets.numel()).to(at::kDouble).sin();
  }

  // By autograd over the whole pass in float64, all leaves apart.
  Result Expected(const std::vector<Sequence>& sequences, double temperature) const {
    model::Tensors leaves = weights_;
    for (auto& [name, tensor] : leaves) tensor = tensor.to(at::kDouble).set_requires_grad(true);
    const model::Transformer transformer(config_, leaves);
    const Pass pass = MakePass(Views(sequences), Prefixes::kEach, at::kCPU);
    attention::DenseAttention attention(pass.lengths, pass.row_of);
    const at::Tensor hidden = transformer.Hidden(pass.ids, pass.positions, attention);
    const at::Tensor logits = transformer.Logits(hidden.index_select(0, pass.scored));
    Result result;
    result.scores = model::ScoreByFormula(logits, pass.scored_by, pass.targets, temperature);
    const at::Tensor weights = WeightsOf(pass);
    ((result.scores.logprobs * weights).sum() + (result.scores.entropy * weights.cos()).sum())
        .backward();
    std::vector<at::Tensor> gradients;
    for (const auto& [name, leaf] : leaves) gradients.push_back(leaf.grad().flatten());
    result.gradient = at::cat(gradients);
    return result;
  }

  Result Find(const std::vector<Sequence>& sequences, Prefixes prefixes,
              CheckpointLayers checkpoint, double temperature,
              model::DType compute = model::DType::kFloat32) const {
    Parameters parameters(weights_, compute);
    const model::Transformer transformer(config_, parameters.leaves());
    const Pass pass = MakePass(Views(sequences), prefixes, at::kCPU);
    PassGradient gradient(transformer, parameters, pass,
                          {.temperature = temperature, .checkpoint = checkpoint});
    const at::Tensor weights = WeightsOf(pass);
    gradient.Backward(weights.to(at::kFloat), weights.cos().to(at::kFloat));
    std::vector<at::Tensor> gradients;
    for (const auto& [name, tensor] : parameters.Named(parameters.gradient())) {
      gradients.push_back(tensor.flatten());
    }
    return {gradient.scores(), at::cat(gradients)};
  }

  static void ExpectNear(const Result& found, const Result& expected, double tolerance) {
    const auto relative = [](const at::Tensor& a, const at::Tensor& b) {
      return ((a.to(at::kDouble) - b).norm() / b.norm()).item<double>();
    };
    EXPECT_GT(expected.gradient.norm().item<double>(), 0);
    EXPECT_LT(relative(found.scores.logprobs, expected.scores.logprobs), tolerance);
    EXPECT_LT(relative(found.scores.entropy, expected.scores.entropy), tolerance);
    EXPECT_LT(relative(found.gradient, expected.gradient), tolerance);
  }

  TemporaryFolder folder_;
  model::ModelConfig config_;
  model::Tensors weights_;
};

TEST_F(PassGradientTest, IsThatOfEachSequenceAloneInFloat64) {
  for (const std::vector<Sequence>& sequences : {Forest(), Long()}) {
    const Result expected = Expected(sequences, 0.8);
    for (const Prefixes prefixes : {Prefixes::kOnce, Prefixes::kEach}) {
      ExpectNear(Find(sequences, prefixes, CheckpointLayers::kAll, 0.8), expected, 3e-6);
    }
  }
}

TEST_F(PassGradientTest, HasTheSameBitsWhetherLayersAreComputedAgainOrKept) {
  for (const std::vector<Sequence>& sequences : {Forest(), Long()}) {
    const Result again = Find(sequences, Prefixes::kOnce, CheckpointLayers::kAll, 1);
    const Result kept = Find(sequences, Prefixes::kOnce, CheckpointLayers::kNone, 1);
    EXPECT_TRUE(at::equal(again.scores.logprobs, kept.scores.logprobs));
    EXPECT_TRUE(at::equal(again.gradient, kept.gradient));
  }
}

TEST_F(PassGradientTest, OfABFloat16ModelIsThatOfItsWeightsUpToItsRounding) {
  const Result found =
      Find(Long(), Prefixes::kOnce, CheckpointLayers::kAll, 1, model::DType::kBFloat16);
  ExpectNear(found, Expected(Long(), 1), 0.03);
}

TEST_F(PassGradientTest, OfAModelWithAHeadOfItsOwnReachesTheHead) {
  config_.tie_word_embeddings = !config_.tie_word_embeddings;
  weights_ = model::RandomTensors(config_, 3, model::DType::kFloat32);
  ExpectNear(Find(Forest(), Prefixes::kOnce, CheckpointLayers::kAll, 1), Expected(Forest(), 1),
             3e-6);
}

TEST_F(PassGradientTest, HasTheScoresOfAPassWithoutGradients) {
  for (const model::DType compute : {model::DType::kFloat32, model::DType::kBFloat16}) {
    Parameters parameters(weights_, compute);
    const model::Transformer transformer(config_, parameters.leaves());
    const Pass pass = MakePass(Views(Forest()), Prefixes::kOnce, at::kCPU);
    const PassGradient gradient(transformer, parameters, pass, {.temperature = 0.8});
    const model::TokenScores scores = ScorePass(transformer, pass, 0.8, /*entropy=*/true);
    const double tolerance = compute == model::DType::kFloat32 ? 1e-5 : 0.02;
    EXPECT_TRUE(scores.logprobs.allclose(gradient.scores().logprobs, tolerance, tolerance));
    EXPECT_TRUE(scores.entropy.allclose(gradient.scores().entropy, tolerance, tolerance));
  }
}

TEST_F(PassGradientTest, CountsTemperatureZeroAsOne) {
  const Result zero = Find(Forest(), Prefixes::kOnce, CheckpointLayers::kAll, 0);
  const Result one = Find(Forest(), Prefixes::kOnce, CheckpointLayers::kAll, 1);
  EXPECT_TRUE(at::equal(zero.scores.logprobs, one.scores.logprobs));
  EXPECT_TRUE(at::equal(zero.gradient, one.gradient));
}

TEST_F(PassGradientTest, AddsToTheGradientThatIsThere) {
  Parameters parameters(weights_, model::DType::kFloat32);
  const model::Transformer transformer(config_, parameters.leaves());
  const Pass pass = MakePass(Views(Forest()), Prefixes::kOnce, at::kCPU);
  const at::Tensor ones = at::ones({pass.targets.numel()});
  at::Tensor once;
  for (int i = 0; i < 2; ++i) {
    PassGradient(transformer, parameters, pass, {}).Backward(ones, at::Tensor());
    if (i == 0) once = parameters.gradient().clone();
  }
  EXPECT_TRUE(parameters.gradient().allclose(2 * once));
}

// Rank 0 of two, which counts the messages that it begins to send. Nothing arrives.
class CountingRanks final : public RankGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  std::unique_ptr<Transfer> Send(const at::Tensor&, int) override {
    ++sent;
    return std::make_unique<Done>();
  }
  std::unique_ptr<Transfer> Receive(const at::Tensor& tensor, int) override {
    tensor.zero_();
    return std::make_unique<Done>();
  }

  int sent = 0;

 private:
  struct Done final : Transfer {
    void Wait() override {}
  };
};

TEST_F(PassGradientTest, OfALayerIsOnItsWayToOtherRanksBeforeTheLayerBeforeItIsDifferentiated) {
  CountingRanks ranks;
  Parameters parameters(weights_, model::DType::kFloat32, &ranks);
  const model::Transformer transformer(config_, parameters.leaves());
  const Pass pass = MakePass(Views(Forest()), Prefixes::kOnce, at::kCPU);
  std::map<int64_t, std::set<int>> sent;  // by the layer whose weights get a gradient
  for (const auto& [name, leaf] : parameters.leaves()) {
    for (int64_t layer = 0; layer < config_.layers; ++layer) {
      if (!name.starts_with("model.layers." + std::to_string(layer))) continue;
      leaf.register_hook([&, layer](const at::Tensor&) { sent[layer].insert(ranks.sent); });
    }
  }
  PassGradient gradient(transformer, parameters, pass, {});
  gradient.Backward(at::ones({pass.targets.numel()}), at::Tensor());
  // One message a layer, its part of the gradient for the other rank.
  for (int64_t layer = 0; layer < config_.layers; ++layer) {
    EXPECT_EQ(sent[layer], std::set<int>{static_cast<int>(config_.layers - 1 - layer)}) << layer;
  }
  EXPECT_EQ(ranks.sent, static_cast<int>(parameters.layout().buckets().size()));
}

TEST_F(PassGradientTest, ComputesLayersAgainWhereActivationsTakeMoreThanAnEighthOfTheMemory) {
  const int64_t bytes = 100 * config_.layers * ActivationBytes(config_, 4);
  const auto again = [&](CheckpointLayers checkpoint, int64_t memory) {
    return ComputesAgain(checkpoint, config_, 100, 4, memory);
  };
  EXPECT_FALSE(again(CheckpointLayers::kAuto, 8 * bytes));
  EXPECT_TRUE(again(CheckpointLayers::kAuto, 8 * bytes - 8));
  EXPECT_FALSE(again(CheckpointLayers::kAuto, 0)) << "the memory isn't known";
  EXPECT_TRUE(again(CheckpointLayers::kAll, 80 * bytes));
  EXPECT_FALSE(again(CheckpointLayers::kNone, bytes));
}

}  // namespace
}  // namespace attnrl::learner
