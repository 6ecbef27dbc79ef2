// SPDX-License-Identifier: Apache-2.0
// The check's own steps where this machine has no GPU: on a device whose memory the host can't
// touch, with a GPU's kernels in the emulator and graphs that are played back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "common/attention/cuda/testing/emulated_kernels.h"
#include "common/device/testing/fake_device.h"
#include "common/device/testing/fake_graph.h"
#include "common/device/testing/fake_memory.h"
#include "common/model/flops.h"
#include "common/model/testing/tiny_models.h"
#include "common/testing/shared_data.h"
#include "common/testing/temporary_folder.h"
#include "services/rollout_worker/testing/emulated_sampling.h"
#include "tests/bench/whole/decode_steps.h"
#include "tests/bench/whole/fci_steps.h"
#include "tests/bench/whole/random_model.h"
#include "tests/bench/whole/same_tokens.h"
#include "tests/bench/whole/tensor_memory.h"
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

TEST(CompareWithOracle, ListsTheFirstOtherTokenOfAContinuationAndHowFarItIsFromATie) {
  const std::string data = SharedData("data/oracle");
  if (!std::filesystem::exists(data)) GTEST_SKIP() << data << " is not there";
  const auto same = CompareWithOracle({}, data, "qwen2-tiny");
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_TRUE(same->empty());

  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() + "/model/qwen2-tiny");
  std::filesystem::create_symlink(data + "/qwen2-tiny", folder.path() + "/qwen2-tiny");
  auto records = model::ReadLines(data + "/model/qwen2-tiny/greedy.jsonl");
  const auto id = records[1]["continuation_ids"][3].get<int32_t>();
  records[1]["continuation_ids"][3] = id + 1;
  std::ofstream file(folder.path() + "/model/qwen2-tiny/greedy.jsonl");
  for (const auto& record : records) file << record.dump() << "\n";
  file.close();
  const auto others = CompareWithOracle({}, folder.path(), "qwen2-tiny");
  ASSERT_TRUE(others.ok()) << others.status();
  ASSERT_EQ(others->size(), 1u);
  const OtherToken& other = others->front();
  EXPECT_EQ(other.continuation, 1);
  EXPECT_EQ(other.position, 3);
  EXPECT_EQ(other.found, id);
  EXPECT_EQ(other.wanted, id + 1);
  // The found one is the most likely, by as much as the oracle says at least.
  EXPECT_LT(other.gap, -0.9 * records[1]["min_margin"].get<double>());
}

TEST(TimeRecompute, ScoresAsEagerAttentionDoesInMemoryThatGrowsAsTheTokensDo) {
  model::ModelConfig config = Config();
  config.max_position_embeddings = 1024;
  const auto model = rollout::MakeModel(config, DrawWeights(config, at::kCPU), false);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto half = TimeRecompute(**model, 500), all = TimeRecompute(**model, 1000);
  ASSERT_TRUE(half.ok() && all.ok());
  const FciCost half_eager = TimeEager(**model, 500), eager = TimeEager(**model, 1000);
  EXPECT_LT(RelativeDifference(all->scores, eager.scores), 1e-4);
  EXPECT_EQ(all->step.flops, eager.step.flops);
  EXPECT_GT(all->peak, 0);
  EXPECT_LT(all->peak, 2.2 * static_cast<double>(half->peak));
  EXPECT_GT(eager.peak, 3 * half_eager.peak);
  EXPECT_GT(eager.peak, 4 * 1000 * 1000 * int64_t{sizeof(float)});
}

TEST(RelativeDifference, IsAShareOfTheGreatestScoreAndInfiniteWhereThereIsNone) {
  EXPECT_EQ(RelativeDifference({0, 1, 4}, {0, 2, 4}), 0.25);
  EXPECT_EQ(RelativeDifference({0, 1}, {0, 0}), INFINITY);
  EXPECT_EQ(RelativeDifference({0, NAN}, {0, 2}), INFINITY);
}

TEST(WholeTable, HasAsManyColumnsInEachRowAndFailsForWhatIsMoreThanAllowed) {
  testing::internal::CaptureStdout();
  WholeTable table(at::kCPU, {.copied = 1e9, .multiplied = 1e9});
  table.AddCost("a step", {.seconds = 1, .bytes = 1e6, .flops = 1e6, .tokens = 3});
  table.AddCost("another", {.seconds = 1});
  table.AddNote("a note", "none");
  table.AddCheck("found", 1, 1);
  EXPECT_FALSE(table.failed());
  table.AddCheck("not found", NAN, 1);
  EXPECT_TRUE(table.failed());
  std::istringstream out(testing::internal::GetCapturedStdout());
  int rows = 0;
  for (std::string line; std::getline(out, line);) {
    if (!line.starts_with("|")) continue;
    EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 6) << line;
    ++rows;
  }
  EXPECT_EQ(rows, 2 + 5);
}

TEST(PeakBytesOf, CountsWhatIsHeldAtOneTime) {
  const int64_t peak = PeakBytesOf(at::kCPU, [] {
    at::empty({1000}, at::kByte);
    const at::Tensor kept = at::empty({3000}, at::kByte);
    at::empty({2000}, at::kByte);
  });
  EXPECT_GE(peak, 5000);
  EXPECT_LT(peak, 6000);
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
