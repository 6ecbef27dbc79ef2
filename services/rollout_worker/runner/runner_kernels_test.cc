// SPDX-License-Identifier: Apache-2.0
// The engine with the kernels of a GPU, emulated over the memory of the fake device: its tokens are
// the CPU's, and a step costs no more than it is allowed to.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "common/attention/cuda/testing/emulated_kernels.h"
#include "common/device/testing/fake_device.h"
#include "common/device/testing/fake_graph.h"
#include "common/device/testing/fake_memory.h"
#include "common/model/gpu/testing/emulated_kernels.h"
#include "common/model/gpu_operators.h"
#include "common/model/testing/tiny_models.h"
#include "services/rollout_worker/testing/emulated_sampling.h"
#include "services/rollout_worker/testing/line_tokenizer.h"
#include "services/rollout_worker/testing/small_engine.h"

namespace attnrl::rollout {
namespace {

using device::FakeDevice;
using device::FakeGraphRecorder;
using device::Traffic;
using device::TrafficMeter;

const attention::EmulatedDecodeKernels kAttention;
const model::EmulatedRowKernels kRows;

const model::Operators& GpuOperators() {
  static const model::GpuOperators operators(kRows);
  return operators;
}

RunnerOptions OnTheFakeGpu() {
  cuda::EmulateUnder([] { return std::make_shared<device::OpenAllMemory>(); });
  return {.blocks = 40,
          .device = FakeDevice(),
          .kernels = StepKernels{.attention = &kAttention, .sample = EmulateSampleRows}};
}

// Heads that the kernels know.
model::ModelConfig Config(int64_t layers = 2) {
  model::ModelConfig config = model::SmallConfig();
  config.vocab_size = 2300;
  config.layers = layers;
  config.head_dim = 64;
  config.initializer_range = 0.3;
  return config;
}

TEST(RunnerWithKernels, SamplesTheTokensOfTheCpu) {
  SmallEngine cpu(Config(), {.blocks = 40});
  SmallEngine gpu(Config(), OnTheFakeGpu(), GpuOperators());
  ExpectTheSameTokens(gpu, cpu, MakeRequests(6));
}

TEST(RunnerWithKernels, SamplesTheTokensOfTheCpuWithTopKAndTopP) {
  SmallEngine cpu(Config(), {.blocks = 40});
  SmallEngine gpu(Config(), OnTheFakeGpu(), GpuOperators());
  std::vector<Request> requests = MakeRequests(3, {.temperature = 0.8, .top_p = 0.7, .top_k = 50});
  requests[1].sampling = {};
  ExpectTheSameTokens(gpu, cpu, requests);
}

// Responses with steps, as the engine scores them.
std::vector<Request> ScoredRequests() {
  std::vector<Request> requests = MakeRequests(4);
  for (Request& request : requests) {
    request.max_new_tokens = 30 + static_cast<int64_t>(request.id);
    request.score_delta = 1;
  }
  return requests;
}

void ExpectTheScoresOfTheCpu(RunnerOptions gpu_options) {
  model::ModelConfig config = Config();
  config.vocab_size = kLineVocabulary;
  RunnerOptions cpu_options{.blocks = 40};
  cpu_options.segmenter = std::make_shared<const text::StepSegmenter>(MakeLineTokenizer());
  gpu_options.segmenter = cpu_options.segmenter;
  gpu_options.online_scores = true;
  SmallEngine cpu(config, cpu_options);
  SmallEngine gpu(config, gpu_options, GpuOperators());
  ExpectTheSameTokens(gpu, cpu, ScoredRequests());
  int64_t positive = 0;
  for (const auto& [id, expected] : cpu.done) {
    const StepScores& found = gpu.done.at(id).scores;
    ASSERT_EQ(found.ends, expected.scores.ends);
    for (size_t step = 0; step < found.fci.size(); ++step) {
      EXPECT_NEAR(found.fci[step], expected.scores.fci[step], 1e-5) << id << " " << step;
      positive += found.fci[step] > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(positive, 10);
}

TEST(RunnerWithKernels, ScoresOnTheWayAsAPassOfItsOwnDoes) {
  ExpectTheScoresOfTheCpu(OnTheFakeGpu());
}

// The fake GPU, with graphs.
RunnerOptions WithGraphs(bool refuses = false) {
  RunnerOptions options = OnTheFakeGpu();
  options.kernels->graphs = [refuses] {
    auto recorder = std::make_unique<FakeGraphRecorder>();
    if (refuses) recorder->Refuse();
    return recorder;
  };
  return options;
}

TEST(RunnerWithGraphs, SamplesTheTokensOfTheCpu) {
  SmallEngine cpu(Config(), {.blocks = 40});
  SmallEngine gpu(Config(), WithGraphs(), GpuOperators());
  std::vector<Request> requests = MakeRequests(7);
  requests[2].sampling = {.temperature = 0.8, .top_p = 0.7};
  const int64_t replays = FakeGraphRecorder::replays();
  ExpectTheSameTokens(gpu, cpu, requests);
  EXPECT_GT(FakeGraphRecorder::replays() - replays, 5);
}

TEST(RunnerWithGraphs, ScoresOnTheWayAsAPassOfItsOwnDoes) {
  const int64_t replays = FakeGraphRecorder::replays();
  ExpectTheScoresOfTheCpu(WithGraphs());
  EXPECT_GT(FakeGraphRecorder::replays() - replays, 10);
}

TEST(RunnerWithGraphs, EachVersionHasItsOwn) {
  SmallEngine cpu(Config(), {.blocks = 40});
  SmallEngine gpu(Config(), WithGraphs(), GpuOperators());
  cpu.SetWeights(Config(), {}, model::Operators::Standard(), 1, 2);
  gpu.SetWeights(Config(), WithGraphs(), GpuOperators(), 1, 2);
  std::vector<Request> requests = MakeRequests(4);
  for (Request& request : requests) request.version = static_cast<uint32_t>(request.id / 2);
  ExpectTheSameTokens(gpu, cpu, requests);
  EXPECT_GT(FakeGraphRecorder::alive(), 1);
  gpu.stepper->DropWeights(0);
  EXPECT_GT(FakeGraphRecorder::alive(), 0) << "the other version's stay";
  gpu.stepper->DropWeights(1);
  EXPECT_EQ(FakeGraphRecorder::alive(), 0) << "they read weights that are gone";
  // Other weights under the same number, perhaps at the same address.
  for (SmallEngine* engine : {&cpu, &gpu}) {
    engine->SetWeights(Config(), engine == &cpu ? RunnerOptions{} : WithGraphs(),
                       engine == &cpu ? model::Operators::Standard() : GpuOperators(), 0, 3);
    engine->done.clear();
  }
  ExpectTheSameTokens(gpu, cpu, MakeRequests(3));
}

TEST(RunnerWithGraphs, GoesOnWithoutThemWhereNothingCanBeRecorded) {
  SmallEngine cpu(Config(), {.blocks = 40});
  SmallEngine gpu(Config(), WithGraphs(/*refuses=*/true), GpuOperators());
  const int64_t replays = FakeGraphRecorder::replays();
  ExpectTheSameTokens(gpu, cpu, MakeRequests(3));
  EXPECT_EQ(FakeGraphRecorder::replays(), replays);
}

TEST(RunnerWithGraphs, AStepIsACopyEachWayAndOneReplay) {
  SmallEngine engine(Config(), WithGraphs(), GpuOperators());
  for (const Request& request : MakeRequests(3)) engine.Submit(request);
  engine.Decode(3);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(engine.stepper->Step());
  const TrafficMeter meter;
  const int64_t replays = FakeGraphRecorder::replays();
  ASSERT_TRUE(engine.stepper->Step());
  EXPECT_EQ(FakeGraphRecorder::replays() - replays, 1);
  EXPECT_EQ(meter.Operations(), 0) << "but those of the replay";
  const Traffic traffic = meter.Read();
  EXPECT_EQ(traffic.copies_to_device, 1);
  EXPECT_EQ(traffic.copies_to_host, 1);
  EXPECT_EQ(traffic.pageable_copies, 0);
  // Of four rows, with the smallest sizes of what grows with the keys.
  EXPECT_LT(traffic.bytes_to_device, 12 << 10);
  EXPECT_EQ(traffic.bytes_to_host, 4 * 24);
}

struct Cost {
  Traffic traffic;
  int64_t launches = 0;  // of own kernels and of operators
};

// What a step of two sequences that decode costs.
Cost CostOfAStep(int64_t layers) {
  constexpr int64_t sequences = 2;
  SmallEngine engine(Config(layers), OnTheFakeGpu(), GpuOperators());
  for (Request request : MakeRequests(sequences)) {
    request.prompt_ids.resize(3);
    request.shared.clear();
    engine.Submit(request);
  }
  engine.Decode(sequences);
  const TrafficMeter meter;
  const int64_t emulated = cuda::EmulatedLaunches();
  EXPECT_TRUE(engine.stepper->Step());
  EXPECT_EQ(engine.stepper->report().decode_rows, sequences);
  EXPECT_EQ(engine.stepper->report().prefill_rows, 0);
  return {meter.Read(), meter.Operations() + cuda::EmulatedLaunches() - emulated};
}

TEST(RunnerWithKernels, AStepOf28LayersTakesFewerThan300LaunchesAndTwoCopies) {
  const Cost cost = CostOfAStep(28);
  EXPECT_LT(cost.launches, 300);
  EXPECT_EQ(cost.traffic.copies_to_device, 1);
  EXPECT_EQ(cost.traffic.copies_to_host, 1) << "for which the host waits, and for nothing else";
  EXPECT_EQ(cost.traffic.values_to_host, 0);
  EXPECT_EQ(cost.traffic.pageable_copies, 0);
  EXPECT_LT(cost.traffic.bytes_to_device, 1 << 10);
}

TEST(RunnerWithKernels, AStepThatScoresTakesALaunchMoreAtMostAndNoCopy) {
  model::ModelConfig config = Config();
  config.vocab_size = kLineVocabulary;
  RunnerOptions options = OnTheFakeGpu();
  options.segmenter = std::make_shared<const text::StepSegmenter>(MakeLineTokenizer());
  options.online_scores = true;
  SmallEngine engine(config, options, GpuOperators());
  for (const Request& request : ScoredRequests()) engine.Submit(request);
  engine.Decode(4);
  // From when on the sums have their memory.
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(engine.stepper->Step());
  const int64_t unscored = CostOfAStep(config.layers).launches;
  int64_t updates = 0;
  for (int i = 0; i < 10; ++i) {
    const TrafficMeter meter;
    const int64_t emulated = cuda::EmulatedLaunches();
    ASSERT_TRUE(engine.stepper->Step());
    ASSERT_EQ(engine.stepper->report().decode_rows, 4);
    const int64_t more = meter.Operations() + cuda::EmulatedLaunches() - emulated - unscored;
    EXPECT_GE(more, 0);
    EXPECT_LE(more, 1);
    updates += more;
    EXPECT_EQ(meter.Read().copies_to_device, 1);
    EXPECT_EQ(meter.Read().copies_to_host, 1);
    EXPECT_LT(meter.Read().bytes_to_device, 4 << 10);
  }
  EXPECT_GT(updates, 0) << "where steps have ended";
}

TEST(RunnerWithKernels, ALayerTakesTenLaunches) {
  // Four products; norms with the sums before them, rotation with the cache's new rows, attention
  // in two parts, and gated SiLU.
  EXPECT_EQ(CostOfAStep(3).launches - CostOfAStep(2).launches, 10);
}

// What a step of a decoding sequence and a prompt's first rows costs.
Cost CostOfAMixedStep(int64_t layers) {
  RunnerOptions options = OnTheFakeGpu();
  options.dtype = model::DType::kBFloat16;
  SmallEngine engine(Config(layers), options, GpuOperators());
  std::vector<Request> requests = MakeRequests(3);
  engine.Submit(requests[1]);
  engine.Decode(1);
  engine.Submit(requests[2]);
  const TrafficMeter meter;
  const int64_t emulated = cuda::EmulatedLaunches();
  EXPECT_TRUE(engine.stepper->Step());
  EXPECT_EQ(engine.stepper->report().decode_rows, 1);
  EXPECT_GE(engine.stepper->report().prefill_rows, attention::kPromptRows);
  return {meter.Read(), meter.Operations() + cuda::EmulatedLaunches() - emulated};
}

TEST(RunnerWithKernels, ALayerWithAPromptTakesTwoLaunchesMoreAndNoCopy) {
  const Cost cost = CostOfAMixedStep(3);
  EXPECT_EQ(cost.launches - CostOfAMixedStep(2).launches, 12);
  EXPECT_EQ(cost.traffic.copies_to_device, 1);
  EXPECT_EQ(cost.traffic.copies_to_host, 1);
  EXPECT_EQ(cost.traffic.values_to_host, 0);
  EXPECT_EQ(cost.traffic.pageable_copies, 0);
}

}  // namespace
}  // namespace attnrl::rollout
