// SPDX-License-Identifier: Apache-2.0
// The check's own steps where this machine has no GPU: on a device whose memory the host can't
// touch, with a GPU's kernels in the emulator and graphs that are played back.
#include <gtest/gtest.h>

#include <memory>

#include "common/attention/cuda/testing/emulated_kernels.h"
#include "common/device/testing/fake_device.h"
#include "common/device/testing/fake_graph.h"
#include "common/device/testing/fake_memory.h"
#include "common/model/flops.h"
#include "common/model/testing/tiny_models.h"
#include "services/rollout_worker/testing/emulated_sampling.h"
#include "tests/bench/whole/decode_steps.h"
#include "tests/bench/whole/random_model.h"
#include "tests/bench/whole/same_tokens.h"
#include "tests/bench/whole/update_steps.h"

namespace attnrl::bench {
namespace {

const attention::EmulatedDecodeKernels kAttention;

rollout::RunnerOptions OnTheFakeGpu() {
  cuda::EmulateUnder([] { return std::make_shared<device::OpenAllMemory>(); });
  return {.device = device::FakeDevice(),
          .kernels = rollout::StepKernels{
              .attention = &kAttention, .sample = rollout::EmulateSampleRows, .graphs = [] {
                return std::make_unique<device::FakeGraphRecorder>();
              }}};
}

model::ModelConfig Config() {
  model::ModelConfig config = model::SmallConfig();
  config.vocab_size = 500;
  config.head_dim = 64;
  config.max_position_embeddings = 256;
  return config;
}

TEST(TimeDecoding, DecodesAllSequencesAsGraphsAndCountsWhatAStepMoves) {
  const model::ModelConfig config = Config();
  rollout::RunnerOptions options = OnTheFakeGpu();
  const auto model = rollout::MakeModel(config, DrawWeights(config, options.device), false);
  ASSERT_TRUE(model.ok()) << model.status();
  const int64_t replays = device::FakeGraphRecorder::replays();
  const auto cost = TimeDecoding(
      options, *model, {.groups = 2, .samples = 2, .prompt = 20, .response = 12, .timed = 4});
  ASSERT_TRUE(cost.ok()) << cost.status();
  EXPECT_GT(device::FakeGraphRecorder::replays(), replays);
  EXPECT_GT(cost->seconds, 0);
  EXPECT_EQ(cost->tokens, 4);
  // Four rows, 30 tokens each at the middle of the steps timed; two texts and 40 other tokens.
  EXPECT_EQ(cost->flops,
            model::ForwardFlops(config, {.rows = 4, .attended = 120, .logit_rows = 4}));
  const double matrices = 2 * (32 * (256 + 128 + 128) + 256 * 32 + 3 * 32 * 48) + 500 * 32;
  EXPECT_EQ(cost->bytes, 4 * matrices + (2 * 20 + 4 * 10) * 2.0 * 2 * 2 * 64 * 4);
}

TEST(CompareWithCpu, FindsTheSameTokensAndScoresWithAGpusKernels) {
  const auto difference =
      CompareWithCpu(OnTheFakeGpu(), {.layers = 2, .sequences = 3, .response = 70});
  ASSERT_TRUE(difference.ok()) << difference.status();
  EXPECT_EQ(difference->sequences, 0);
  EXPECT_LT(difference->fci, 1e-5);
  EXPECT_GT(difference->positive, 0);
}

TEST(TimeUpdate, TrainsATreeOnTheDeviceWithFewerRowsWhereItIsPacked) {
  const model::ModelConfig config = Config();
  const model::Tensors weights = DrawWeights(config, device::FakeDevice());
  const TreeShape shape = {.prompt = 8, .response = 16, .max_tokens_per_pass = 64};
  const auto packed = TimeUpdate(config, weights, learner::Prefixes::kOnce, shape);
  const auto each = TimeUpdate(config, weights, learner::Prefixes::kEach, shape);
  ASSERT_TRUE(packed.ok()) << packed.status();
  ASSERT_TRUE(each.ok()) << each.status();
  EXPECT_EQ(packed->tokens, 5 * 24);
  EXPECT_EQ(each->tokens, packed->tokens);
  EXPECT_LT(packed->flops, 0.8 * each->flops);
  EXPECT_GT(packed->seconds, 0);
}

}  // namespace
}  // namespace attnrl::bench
