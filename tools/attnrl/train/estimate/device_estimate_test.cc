// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/estimate/device_estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/runner/runner.h"

namespace attnrl::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int64_t kGigabyte = int64_t{1000} * 1000 * 1000;

// 1.5 B weights in bfloat16.
RunShape Large() {
  RunShape shape;
  shape.model.vocab_size = 151936;
  shape.model.hidden_size = 1536;
  shape.model.intermediate_size = 8960;
  shape.model.layers = 28;
  shape.model.heads = 12;
  shape.model.kv_heads = 2;
  shape.model.head_dim = 128;
  shape.model.max_position_embeddings = 131072;
  shape.dtype = model::DType::kBFloat16;
  return shape;
}

config::Config OnGpus() {
  config::Config config;
  config.rollout.device = "cuda";
  config.learner.device = "cuda";
  config.rollout.kv_cache_bytes = 4 * kGigabyte;
  return config;
}

int64_t Part(const DeviceEstimate& device, const std::string& start) {
  for (const DeviceEstimate::Part& part : device.parts) {
    if (part.what.starts_with(start)) return part.bytes;
  }
  return 0;
}

std::string Refusal(const config::Config& config, int64_t device_bytes) {
  const auto devices = EstimateDevices(config, Large(), device_bytes);
  EXPECT_TRUE(IsInputError(devices.status())) << devices.status();
  return std::string(devices.status().message());
}

TEST(DeviceEstimate, NamesWhatEachRoleKeeps) {
  const auto devices = EstimateDevices(OnGpus(), Large(), 0);
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 2u);
  const DeviceEstimate& worker = devices->at(0);
  const DeviceEstimate& learner = devices->at(1);
  const int64_t weights = model::CountParameters(Large().model);
  EXPECT_EQ(worker.process, "worker");
  const int64_t head = int64_t{4} * 151936 * 1536;
  EXPECT_EQ(Part(worker, "weights, 3 versions"), 3 * (2 * weights + head));
  EXPECT_GT(Part(worker, "KV cache"), 4 * kGigabyte * 99 / 100);
  EXPECT_LE(Part(worker, "KV cache"), 4 * kGigabyte);
  EXPECT_EQ(learner.process, "learner rank");
  EXPECT_EQ(Part(learner, "masters, gradient, moments"), 16 * weights);
  EXPECT_EQ(Part(learner, "reference model"), 2 * weights);
}

TEST(DeviceEstimate, LeavesOutRolesOnTheCpuAndWhatARoleHasNot) {
  config::Config config = OnGpus();
  config.rollout.device = "cpu";
  config.learner.kl_weight = 0;
  const auto devices = EstimateDevices(config, Large(), 0);
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 1u);
  EXPECT_EQ(Part(devices->at(0), "reference model"), 0);
  EXPECT_THAT(DeviceTable(*devices, 0), Not(HasSubstr("reference")));
}

TEST(DeviceEstimate, SharesTheOptimizersStateOutAndOneVersionLessIsOneCopyLess) {
  config::Config config = OnGpus();
  const int64_t weights = model::CountParameters(Large().model);
  const DeviceEstimate one = EstimateLearnerDevice(config, Large(), 0);
  config.learner.ranks = 4;
  const DeviceEstimate four = EstimateLearnerDevice(config, Large(), 0);
  EXPECT_EQ(Part(one, "masters") - Part(four, "masters"), 12 * weights);
  EXPECT_EQ(Part(one, "weights to compute with"), Part(four, "weights to compute with"));
  config.learner.offload_optimizer = config::OffloadOptimizer::kCpu;
  const DeviceEstimate offloaded = EstimateLearnerDevice(config, Large(), 0);
  EXPECT_EQ(Part(four, "masters") - Part(offloaded, "masters"), 2 * weights - (256 << 20));
  const DeviceEstimate two_versions = EstimateWorkerDevice(config, Large(), 0);
  config.rollout.resident_versions = 1;
  const DeviceEstimate one_version = EstimateWorkerDevice(config, Large(), 0);
  EXPECT_EQ(two_versions.total() - one_version.total(),
            rollout::ResidentWeightBytes({.dtype = Large().dtype}, Large().model));
}

TEST(DeviceEstimate, HasThePartInUseOfAReferenceThatLiesElsewhere) {
  config::Config config = OnGpus();
  for (const auto offload : {config::OffloadReference::kCpu, config::OffloadReference::kDisk}) {
    config.learner.offload_reference = offload;
    EXPECT_EQ(Part(EstimateLearnerDevice(config, Large(), 0), "reference model, a part at a time"),
              int64_t{2 + 4} * 151936 * 1536)
        << "the head, also in float32";
  }
}

TEST(DeviceEstimate, RefusesByTheKeyThatWouldHaveToChange) {
  config::Config config = OnGpus();
  config.rollout.kv_cache_bytes = 70 * kGigabyte;
  EXPECT_THAT(Refusal(config, 80 * kGigabyte),
              AllOf(StartsWith("rollout.kv_cache_bytes: a worker would need about "),
                    HasSubstr("a device has 80.0 GB: at most ")));
  config.rollout.kv_cache_bytes = kGigabyte;
  EXPECT_THAT(Refusal(config, 8 * kGigabyte), StartsWith("rollout.resident_versions, "));
  EXPECT_THAT(Refusal(config, 40 * kGigabyte),
              AllOf(StartsWith("learner.ranks: a learner rank would need about "),
                    HasSubstr("a device has 40.0 GB: at least ")));
  config.rollout.kv_cache_bytes = kGigabyte / 2;
  EXPECT_THAT(Refusal(config, 16 * kGigabyte), HasSubstr("no number of ranks makes it fit"));
  config.learner.max_tokens_per_pass = 2'000'000;
  EXPECT_THAT(Refusal(config, 80 * kGigabyte), StartsWith("learner.max_tokens_per_pass: "));
}

TEST(DeviceEstimate, ACacheOfNoGivenSizeTakesWhatTheRestLeaves) {
  config::Config config = OnGpus();
  config.learner.device = "cpu";
  config.rollout.kv_cache_bytes = 0;
  config.rollout.slots = 4096;
  const auto devices = EstimateDevices(config, Large(), 80 * kGigabyte);
  ASSERT_TRUE(devices.ok()) << devices.status();
  EXPECT_LE(devices->at(0).total(), 80 * kGigabyte);
  EXPECT_GT(devices->at(0).total(), 70 * kGigabyte);
  EXPECT_THAT(Refusal(config, 8 * kGigabyte), StartsWith("rollout.kv_cache_bytes: the GPU has "));
}

// What the worker itself sets aside of its GPU, before its cache gets the rest (serve.cc).
TEST(DeviceEstimate, OfAWorkerCountsWhatTheWorkerSetsAside) {
  const config::Config config = OnGpus();
  const rollout::RunnerOptions runner = {.dtype = Large().dtype, .device = at::Device(at::kCUDA)};
  const int64_t reserved =
      (config.rollout.resident_versions + 1) * rollout::ResidentWeightBytes(runner, Large().model) +
      rollout::StepWorkspaceBytes(runner, Large().model, rollout::StepperOptions().max_step_rows);
  const DeviceEstimate worker = EstimateWorkerDevice(config, Large(), 0);
  EXPECT_EQ(worker.total() - Part(worker, "context"), reserved);
}

TEST(DeviceEstimate, OfAWorkerHasRoomForMatricesOnlyWhereNoKernelScoresAttention) {
  config::Config config = OnGpus();
  config.rollout.max_response_tokens = 60'000;
  RunShape shape = Large();
  const int64_t with_kernel = Part(EstimateWorkerDevice(config, shape, 0), "workspace");
  shape.model.head_dim = 96;
  EXPECT_GT(Part(EstimateWorkerDevice(config, shape, 0), "workspace"),
            with_kernel + int64_t{8} * 60'000 * 60'000 / 2);
}

TEST(DeviceEstimate, TheCacheThatItNamesFits) {
  config::Config config = OnGpus();
  config.learner.device = "cpu";
  config.rollout.kv_cache_bytes = 70 * kGigabyte;
  const std::string refusal = Refusal(config, 80 * kGigabyte);
  const std::string words = ": at most ";
  config.rollout.kv_cache_bytes = std::stoll(refusal.substr(refusal.find(words) + words.size()));
  EXPECT_TRUE(EstimateDevices(config, Large(), 80 * kGigabyte).ok());
}

TEST(SharedGpus, AreShownWhereSeveralProcessesAreTooMuchForOne) {
  config::Config config = OnGpus();
  config.rollout.workers = 3;
  const std::vector<DeviceEstimate> devices = {{kWorkerProcess, 3, {{"all", 30 * kGigabyte}}},
                                               {kLearnerProcess, 1, {{"all", 50 * kGigabyte}}}};
  const auto refusal = [&](const std::vector<int64_t>& gpus) {
    return std::string(CheckSharedGpus(config, devices, gpus).message());
  };
  const int64_t gpu = 80 * kGigabyte;
  EXPECT_EQ(refusal({gpu, gpu, gpu, gpu}), "");
  EXPECT_EQ(refusal({gpu, gpu}), "") << "80 and 60 GB";
  EXPECT_EQ(refusal({}), "") << "nothing computes on a GPU";
  EXPECT_EQ(refusal({0}), "") << "the driver doesn't say";
  EXPECT_EQ(refusal({gpu}),
            "rollout.kv_cache_bytes, rollout.workers: GPU 0 would be shared by 1 x learner rank "
            "and 3 x worker, which need about 140.0 GB; it has 80.0 GB; a smaller cache or fewer "
            "workers need less");
  config.rollout.device = "cuda:1";
  EXPECT_THAT(refusal({gpu, gpu, gpu, gpu}), HasSubstr("GPU 1 would be shared by 3 x worker"));
}

TEST(DeviceEstimate, ShowsOneLineAPartAndTheirSum) {
  const std::string table = DeviceTable(
      {{"worker", 3, {{"weights", 1 * kGigabyte}, {"KV cache", 2 * kGigabyte}}}}, 4 * kGigabyte);
  EXPECT_EQ(table,
            "3 x worker        weights                                          1.0 GB\n"
            "                  KV cache                                         2.0 GB\n"
            "                  75 % of a device of 4.0 GB of its own            3.0 GB\n");
}

TEST(ParseSize, ReadsBytesWithAndWithoutAUnit) {
  EXPECT_EQ(ParseSize("80GiB", "--x").value(), int64_t{80} << 30);
  EXPECT_EQ(ParseSize("1.5 GB", "--x").value(), 1'500'000'000);
  EXPECT_EQ(ParseSize("512MiB", "--x").value(), int64_t{512} << 20);
  EXPECT_EQ(ParseSize("12345", "--x").value(), 12345);
  for (const char* wrong : {"", "GiB", "80G", "-1", "0", "1e400", "80GiBs", "1.2.3GB"}) {
    const auto size = ParseSize(wrong, "--x");
    EXPECT_THAT(std::string(size.status().message()), StartsWith("--x: ")) << wrong;
  }
}

}  // namespace
}  // namespace attnrl::tools
