// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/estimate/memory_estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/attention/cpu_flash.h"
#include "common/device/gpus.h"
#include "common/model/operators.h"

namespace attnrl::tools {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr model::DType kHalf = model::DType::kBFloat16;

// Qwen2.5-0.5B, without the biases.
model::ModelConfig HalfBillion() {
  model::ModelConfig model;
  model.hidden_size = 896;
  model.intermediate_size = 4864;
  model.layers = 24;
  model.heads = 14;
  model.kv_heads = 2;
  model.head_dim = 64;
  model.vocab_size = 151936;
  model.tie_word_embeddings = true;
  return model;
}

TEST(MemoryEstimate, GrowsWithTheCacheWorkersAndAReferenceModel) {
  config::Config config;
  const MemoryEstimate before = EstimateMemory(config, {HalfBillion(), kHalf}, 1'000'000);
  config.rollout.workers = 2;
  config.learner.kl_weight = 0;
  const MemoryEstimate after = EstimateMemory(config, {HalfBillion(), kHalf}, 3'000'000);
  EXPECT_EQ(after.worker_bytes - before.worker_bytes, 2'000'000);
  EXPECT_EQ(before.learner_bytes - after.learner_bytes, 2 * model::CountParameters(HalfBillion()));
  EXPECT_EQ(after.total_bytes - after.learner_bytes - after.scheduler_bytes - after.verifier_bytes,
            2 * after.worker_bytes);
}

TEST(MemoryEstimate, SharesTheOptimizersStateOutOverRanksAndAdaptersNeedLittle) {
  config::Config config;
  config.learner.kl_weight = 0;
  const int64_t weights = model::CountParameters(HalfBillion());
  const MemoryEstimate one = EstimateMemory(config, {HalfBillion(), kHalf}, 0);
  config.learner.ranks = 4;
  const MemoryEstimate four = EstimateMemory(config, {HalfBillion(), kHalf}, 0);
  EXPECT_EQ(one.learner_bytes - four.learner_bytes,
            12 * weights - 2 * 4 * HalfBillion().vocab_size * HalfBillion().hidden_size);
  EXPECT_EQ(four.total_bytes - one.total_bytes,
            four.learner_bytes + 3 * four.rank_bytes - one.learner_bytes);
  EXPECT_EQ(four.learner_bytes - four.rank_bytes, 2 * 2 * weights + (int64_t{1} << 30))
      << "two versions, and what waits for a checkpoint's disk, are with the first rank alone";
  config.learner.ranks = 1;
  config.learner.lora.rank = 8;
  const MemoryEstimate adapters = EstimateMemory(config, {HalfBillion(), kHalf}, 0);
  EXPECT_LT(adapters.learner_bytes, one.learner_bytes - 11 * weights);
}

// One layer of each size apart, so that every factor of the estimate is visible in it.
model::ModelConfig Tiny() {
  model::ModelConfig model;
  model.hidden_size = 8;
  model.intermediate_size = 16;
  model.layers = 3;
  model.heads = 4;
  model.kv_heads = 2;
  model.head_dim = 16;
  model.vocab_size = 100;
  return model;
}

const int64_t kProcess = device::HasCuda() ? 240'000'000 : 90'000'000;  // with LibTorch
constexpr int64_t kPlain = 30'000'000;

TEST(MemoryEstimate, AddsUpWhatEachServiceHolds) {
  config::Config config;
  config.rollout.workers = 3;
  config.rollout.max_prompt_tokens = 20;
  config.rollout.max_response_tokens = 30;
  config.learner.max_tokens_per_pass = 400;
  config.learner.kl_weight = 0;
  const int64_t weights = model::CountParameters(Tiny());
  const MemoryEstimate memory = EstimateMemory(config, {Tiny(), kHalf}, 24'000);
  // Two versions and the next one, each with its head in float32, and the bytes of that.
  const int64_t head = 100 * 8 * 4;
  EXPECT_EQ(memory.worker_bytes, kProcess + 3 * (2 * weights + head) + 2 * weights + 24'000);
  const auto element =
      static_cast<int64_t>(c10::elementSize(model::TrainedActivations(at::kBFloat16, at::kCPU)));
  // A token keeps in each layer 10 x 8, 5 x (4 + 2 x 2) x 16 and 5 x 16 numbers and its input of 8,
  // and twice 100 logits; the head is there in float32 too. Of the weights there are masters,
  // gradient and two moments, those to compute with, two versions, and a checkpoint of three.
  const int64_t learner = kProcess + weights * (4 * 4 + 2 + 2 * 2 + 3 * 4) + head +
                          400 * (element * 3 * (80 + 640 + 80 + 8) + 4 * 200);
  if (attention::HasForestFlash(at::kCPU, at::kFloat, Tiny().head_dim)) {
    EXPECT_EQ(memory.learner_bytes, learner);
  } else {
    EXPECT_GT(memory.learner_bytes, learner) << "attention's copies";
  }
  EXPECT_EQ(memory.scheduler_bytes, 2 * kPlain);
  EXPECT_EQ(memory.verifier_bytes, kPlain);
  EXPECT_EQ(memory.total_bytes, 3 * memory.worker_bytes + memory.learner_bytes +
                                    memory.scheduler_bytes + memory.verifier_bytes);
}

TEST(MemoryEstimate, OfAReferenceThatLiesElsewhereHasThePartInUse) {
  config::Config config;
  const auto rank = [&config](config::OffloadReference offload) {
    config.learner.offload_reference = offload;
    return EstimateMemory(config, {HalfBillion(), kHalf}, 0).rank_bytes;
  };
  const int64_t weights = 2 * model::CountParameters(HalfBillion());
  const int64_t head = int64_t{2} * HalfBillion().vocab_size * HalfBillion().hidden_size;
  const int64_t here = rank(config::OffloadReference::kNone);
  // Attention, the MLP and both norms.
  const int64_t layer = 2 * (2 * 896 * 896 + 2 * 896 * 128 + 3 * 896 * 4864 + 2 * 896);
  EXPECT_EQ(here - rank(config::OffloadReference::kDisk), weights - 2 * layer)
      << "in the file's pages and packed";
  config.learner.device = "cuda";
  const int64_t on_device = rank(config::OffloadReference::kNone);
  EXPECT_EQ(rank(config::OffloadReference::kCpu) - on_device, weights);
  EXPECT_EQ(rank(config::OffloadReference::kDisk) - on_device, head) << "on its way";
  config.learner.kl_weight = 0;
  EXPECT_EQ(rank(config::OffloadReference::kCpu), on_device);
}

// With passes so short and shards so small that making the masters takes more than training.
TEST(MemoryEstimate, OfTheLearnerHasRoomForTheModelThatItMakesItsMastersOf) {
  config::Config config;
  config.rollout.max_prompt_tokens = config.rollout.max_response_tokens = 1;
  config.learner.max_tokens_per_pass = 1;
  config.learner.checkpoint_layers = config::CheckpointLayers::kAll;
  config.learner.ranks = 8;
  config.learner.device = "cuda";
  model::ModelConfig deep = Tiny();
  deep.layers = 3000;
  const int64_t weights = 2 * model::CountParameters(deep);
  const auto device = [&](double kl_weight) {
    config.learner.kl_weight = kl_weight;
    return EstimateLearnerDevice(config, {deep, kHalf}, 0);
  };
  const DeviceEstimate without = device(0);
  const DeviceEstimate::Part& context = without.parts.back();
  EXPECT_EQ(without.total() - context.bytes, 2 * weights + 4 * weights / 2 / 8)
      << "the weights that were read, those to compute with, and a shard of the masters";
  EXPECT_EQ(device(0.1).total(), without.total() + weights) << "the reference is made before them";

  config.learner.device = "cpu";
  config.learner.kl_weight = 0;
  EXPECT_EQ(EstimateMemory(config, {deep, kHalf}, 0).rank_bytes,
            kProcess + 2 * weights + 4 * weights / 2 / 8);
}

TEST(MemoryEstimate, OfAWorkerThatFetchesByTcpHasTheBytesOfTwoVersions) {
  config::Config config;
  const auto worker = [&config](const std::string& learner) {
    config.learner.address = learner;
    return EstimateMemory(config, {Tiny(), kHalf}, 0).worker_bytes;
  };
  EXPECT_EQ(worker("unix:/run/learner.sock"), worker(""));
  EXPECT_EQ(worker("learner:7003"), worker("") + 2 * model::CountParameters(Tiny()));
}

TEST(MemoryEstimate, OfTheLearnerHasRoomForTheLongestSequenceInAnyPass) {
  config::Config config;
  config.rollout.max_prompt_tokens = 100;
  config.rollout.max_response_tokens = 900;
  const auto learner = [&config](int64_t tokens) {
    config.learner.max_tokens_per_pass = tokens;
    return EstimateMemory(config, {Tiny(), model::DType::kFloat32}, 0).learner_bytes;
  };
  EXPECT_EQ(learner(1), learner(1000));
  EXPECT_LT(learner(1000), learner(1001));
}

// Which has no kernel without padding and masks.
TEST(MemoryEstimate, OfAPassInFloat32OnAGpuHasRoomForKeysThatAreShownToEachContinuation) {
  config::Config config;
  config.learner.device = "cuda";
  const auto device = [&config](model::DType dtype, int64_t children) {
    config.algorithm.branching.children = children;
    return EstimateLearnerDevice(config, {HalfBillion(), dtype}, 0).total();
  };
  // Keys and values of 14 heads of 64 numbers, for two more continuations at each of two points.
  const int64_t shown = int64_t{4} * 2 * 14 * 64 * 4 * config.learner.max_tokens_per_pass;
  const int64_t more = device(model::DType::kFloat32, 4) - device(model::DType::kFloat32, 2);
  EXPECT_GT(more, shown);
  EXPECT_LT(more, shown * 6 / 5);
  EXPECT_LT(device(kHalf, 40) - device(kHalf, 20), shown / 10)
      << "bounded but for indices, since there is another way";
}

TEST(MemoryEstimate, OfALongPassDoesNotGrowWithTokensTimesVocabulary) {
  config::Config config;
  model::ModelConfig shape = Tiny();
  shape.vocab_size = 150'000;
  const auto learner = [&](int64_t tokens) {
    config.learner.max_tokens_per_pass = tokens;
    return EstimateMemory(config, {shape, model::DType::kFloat32}, 0).learner_bytes;
  };
  EXPECT_LT(learner(64'000) - learner(32'000), 32'000 * int64_t{150'000} / 10);
}

// On a GPU the host keeps what is fetched, published, offloaded, and written.
TEST(MemoryEstimate, OfRolesOnGpusIsWhatTheyKeepBesideThem) {
  config::Config config;
  config.rollout.device = config.learner.device = "cuda";
  config.learner.address = "learner:7003";
  config.learner.ranks = 2;
  constexpr int64_t kContext = 1'000'000'000;
  const int64_t weights = model::CountParameters(HalfBillion());
  const auto estimate = [&config](int64_t kv_bytes) {
    return EstimateMemory(config, {HalfBillion(), kHalf}, kv_bytes);
  };
  const MemoryEstimate memory = estimate(1'000'000'000);
  EXPECT_EQ(memory.worker_bytes, kProcess + kContext + 2 * 2 * weights);
  EXPECT_EQ(memory.rank_bytes, kProcess + kContext);
  EXPECT_EQ(memory.learner_bytes - memory.rank_bytes, 3 * 2 * weights + (int64_t{1} << 30));
  config.learner.offload_optimizer = config::OffloadOptimizer::kCpu;
  EXPECT_EQ(estimate(0).rank_bytes - memory.rank_bytes, 2 * 4 * weights / 2) << "of two ranks";
}

TEST(MemoryEstimate, RefusesWhatDoesNotFitByTheKeysThatWouldHaveToChange) {
  config::Config config;
  MemoryEstimate memory;
  memory.worker_bytes = 2'000'000'000;
  memory.learner_bytes = 7'000'000'000;
  memory.rank_bytes = 3'000'000'000;
  memory.total_bytes = 9'000'000'000;
  const auto refusal = [&](int64_t machine) {
    return std::string(CheckHostMemory(config, memory, machine).message());
  };
  EXPECT_EQ(refusal(9'000'000'000), "");
  EXPECT_EQ(refusal(0), "") << "not known";
  EXPECT_EQ(refusal(8'000'000'000),
            "rollout.kv_cache_bytes, rollout.resident_versions, learner.max_tokens_per_pass, "
            "learner.offload_reference: the services would need about 9.0 GB (1 worker of 2.0 GB, "
            "1 learner process of 7.0 GB); this machine has 8.0 GB; a smaller cache, shorter "
            "responses, fewer resident versions, smaller passes, a reference model on disk need "
            "less");
  config.rollout.workers = 0;
  config.learner.offload_reference = config::OffloadReference::kDisk;
  EXPECT_THAT(refusal(8'000'000'000), StartsWith("learner.max_tokens_per_pass: "));
  config.rollout.workers = 1;
  config.rollout.device = config.learner.device = "cuda";
  EXPECT_THAT(refusal(8'000'000'000), StartsWith("model.path: the services would need about "));
  config.learner.offload_optimizer = config::OffloadOptimizer::kCpu;
  config.learner.offload_reference = config::OffloadReference::kCpu;
  config.rollout.workers = 3;
  config.learner.ranks = 8;
  EXPECT_THAT(
      refusal(8'000'000'000),
      AllOf(
          StartsWith("learner.offload_optimizer, learner.offload_reference, rollout.workers, "
                     "learner.ranks: "),
          HasSubstr("(3 workers of 2.0 GB, the first learner process of 7.0 GB, 7 others "
                    "of 3.0 GB)"),
          EndsWith("; an optimizer on the device, a reference model on disk, fewer workers, fewer "
                   "ranks need less")));
}

TEST(MemoryEstimate, WithoutWorkersIsThatOfTheOtherServices) {
  config::Config config;
  config.rollout.workers = 0;
  const MemoryEstimate memory = EstimateMemory(config, {Tiny(), model::DType::kFloat32}, 0);
  EXPECT_EQ(memory.total_bytes,
            memory.learner_bytes + memory.scheduler_bytes + memory.verifier_bytes);
}

}  // namespace
}  // namespace attnrl::tools
