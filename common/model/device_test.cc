// SPDX-License-Identifier: Apache-2.0
// The model on a device whose memory the host can't touch gives what it gives on the CPU.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/attention/dense_attention.h"
#include "common/attention/paged/paged_attention.h"
#include "common/base/philox.h"
#include "common/device/testing/fake_device.h"
#include "common/model/fci.h"
#include "common/model/scoring.h"
#include "common/model/testing/tiny_models.h"
#include "common/model/transformer.h"

namespace attnrl::model {
namespace {

using attention::PagedAttention;
using device::FakeDevice;
using device::TrafficMeter;

const std::vector<int64_t>& Lengths() {
  static const std::vector<int64_t> lengths = {70, 1, 33};
  return lengths;
}

std::vector<int32_t> SomeIds(int64_t count) {
  RandomStream random({.seed = static_cast<uint64_t>(count)});
  std::vector<int32_t> ids;
  while (static_cast<int64_t>(ids.size()) < count) {
    ids.push_back(static_cast<int32_t>(random.Below(40)));
  }
  return ids;
}

// Qwen2, Llama and Qwen3 in small.
class ModelOnADevice : public testing::TestWithParam<std::string> {
 protected:
  ModelOnADevice() {
    config_.qkv_bias = GetParam() == "biases";
    config_.qk_norm = GetParam() == "norms of queries and keys";
    config_.tie_word_embeddings = GetParam() == "tied embeddings";
  }

  Transformer Make(at::Device device) const {
    Tensors weights = RandomTensors(config_, 3, DType::kFloat32);
    for (auto& [name, tensor] : weights) tensor = tensor.to(device);
    return Transformer(config_, std::move(weights));
  }

  // Logits of the sequences of Lengths() in one pass.
  at::Tensor Logits(at::Device device, attention::Attention& attention) const {
    const c10::InferenceMode inference;
    std::vector<int64_t> ids, positions;
    for (const int64_t length : Lengths()) {
      const std::vector<int32_t> sequence = SomeIds(length);
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      for (int64_t p = 0; p < length; ++p) positions.push_back(p);
    }
    const Transformer model = Make(device);
    const at::Tensor hidden =
        model.Hidden(at::tensor(ids).to(device), at::tensor(positions).to(device), attention);
    return model.Logits(hidden).to(at::kCPU);
  }

  at::Tensor PagedLogits(at::Device device) const {
    const attention::SeparateSequences sequences(Lengths());
    attention::PagedKvCache cache(
        {config_.layers, sequences.blocks(), config_.kv_heads, config_.head_dim}, at::kFloat,
        device);
    attention::AttentionPlan plan;
    plan.Build(sequences.groups());
    PagedAttention attention(cache, plan);
    return Logits(device, attention);
  }

  at::Tensor DenseLogits(at::Device device) const {
    attention::DenseAttention attention(Lengths());
    return Logits(device, attention);
  }

  ModelConfig config_ = SmallConfig();
};

TEST_P(ModelOnADevice, GivesTheCpusLogitsWithDenseAndPagedAttention) {
  const at::Tensor expected = DenseLogits(at::Device(at::kCPU));
  EXPECT_LT((DenseLogits(FakeDevice()) - expected).abs().max().item<double>(), 2e-5);
  EXPECT_LT((PagedLogits(FakeDevice()) - expected).abs().max().item<double>(), 2e-5);
}

TEST_P(ModelOnADevice, ScoresResponsesAsTheCpuDoes) {
  std::vector<ScoreRequest> requests;
  for (const int64_t length : {1, 9, 30}) requests.push_back({SomeIds(7), SomeIds(length)});
  const auto expected = ScoreSequences(Make(at::Device(at::kCPU)), requests, 30);
  const auto found = ScoreSequences(Make(FakeDevice()), requests, 30);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    for (size_t token = 0; token < expected[i].logprobs.size(); ++token) {
      EXPECT_NEAR(found[i].logprobs[token], expected[i].logprobs[token], 2e-5);
      EXPECT_NEAR(found[i].entropy[token], expected[i].entropy[token], 2e-5);
    }
  }
}

TEST_P(ModelOnADevice, ScoresStepsAsTheCpuDoes) {
  const std::vector<int32_t> ids = SomeIds(60);
  const std::vector<StepRange> steps = {{0, 9}, {9, 17}, {17, 30}, {30, 41}, {41, 52}, {52, 60}};
  const auto expected = RecomputeFci(Make(at::Device(at::kCPU)), ids, steps, {}, {.delta = 1});
  const auto found = RecomputeFci(Make(FakeDevice()), ids, steps, {}, {.delta = 1});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(*found, testing::Pointwise(testing::FloatNear(1e-5F), *expected));
  EXPECT_GT((*found)[2], 0);
}

INSTANTIATE_TEST_SUITE_P(, ModelOnADevice,
                         testing::Values("biases", "norms of queries and keys", "tied embeddings"),
                         [](const auto& kind) {
                           std::string name = kind.param;
                           std::erase(name, ' ');
                           return name;
                         });

TEST(PagedAttentionOnADevice, BringsItsPlanThereOnceForAllLayers) {
  const c10::InferenceMode inference;
  const std::vector<int64_t> lengths = {40, 3};
  const attention::SeparateSequences sequences(lengths);
  attention::AttentionPlan plan;
  plan.Build(sequences.groups());
  attention::PagedKvCache cache({4, sequences.blocks(), 2, 8}, at::kFloat, FakeDevice());
  const at::Tensor q = at::ones({43, 4, 8}, at::device(FakeDevice()).dtype(at::kFloat));
  const at::Tensor k = q.narrow(1, 0, 2);
  PagedAttention attention(cache, plan);
  const TrafficMeter meter;
  for (int64_t layer = 0; layer < 4; ++layer) {
    const at::Tensor wrong = attention.Forward(layer, q, k, k).sub(1).abs();
    EXPECT_LT(wrong.max().item<double>(), 1e-5) << "a mean of ones";
  }
  EXPECT_EQ(meter.Read().copies_to_device, 1);
  // Two numbers a row, and two for each of three blocks.
  EXPECT_EQ(meter.Read().bytes_to_device, 8 * (2 * 43 + 2 * 3));
  EXPECT_EQ(meter.Read().copies_to_host, 0);
  EXPECT_EQ(meter.Read().values_to_host, 4) << "those of this test";
}

}  // namespace
}  // namespace attnrl::model
