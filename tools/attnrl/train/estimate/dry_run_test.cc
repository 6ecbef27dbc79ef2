// SPDX-License-Identifier: Apache-2.0
// What the learner really keeps on its device, by its own pass and step on a device that counts
// bytes and computes nothing, against what is estimated.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/config/config.h"
#include "common/device/testing/dry_device.h"
#include "services/learner/options.h"
#include "services/learner/train/trainer.h"
#include "tools/attnrl/train/estimate/memory_estimate.h"

namespace attnrl::tools {
namespace {

constexpr int64_t kDevice = int64_t{80} * 1000 * 1000 * 1000;
constexpr char kContext[] = "context and libraries";

config::Config Preset(const std::string& name, const std::vector<std::string>& sets = {}) {
  const std::string file = std::string(ATTNRL_SOURCE_DIR "/deploy/local/paper/") + name + ".yaml";
  const auto config = config::Load(file, sets, {});
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(config::Config{});
}

// One tree of a full batch: responses of the greatest length, each with branch points behind such
// shares of it, of two continuations that make it as long again.
scheduler::TrainingBatch Tree(const config::Config& config, const std::vector<double>& points) {
  const auto prompt = static_cast<size_t>(config.rollout.max_prompt_tokens);
  const auto length = static_cast<size_t>(config.rollout.max_response_tokens);
  scheduler::TrainingBatch batch;
  batch.problems = 1;
  int32_t next = 1;  // no two tokens are alike, so that only prefixes are
  const auto tokens = [&next](size_t count) {
    std::vector<int32_t> ids;
    while (ids.size() < count) ids.push_back(next++ % 150000);
    return ids;
  };
  const std::vector<int32_t> prompt_ids = tokens(prompt);
  const auto add = [&](uint32_t response, std::vector<int32_t> ids) {
    scheduler::TrainingSample sample;
    sample.response = response;
    sample.prompt_ids = prompt_ids;
    sample.response_ids = std::move(ids);
    sample.logprobs.assign(length, -1.0F);
    sample.advantages = {{static_cast<uint32_t>(length), 0.5}};
    batch.samples.push_back(std::move(sample));
  };
  for (uint32_t response = 0; response < config.algorithm.sampling.initial_responses; ++response) {
    const std::vector<int32_t> initial = tokens(length);
    add(response, initial);
    for (const double share : points) {
      const auto point = static_cast<size_t>(share * static_cast<double>(length));
      for (int child = 0; child < 2; ++child) {
        std::vector<int32_t> ids(initial.begin(), initial.begin() + static_cast<ptrdiff_t>(point));
        const std::vector<int32_t> rest = tokens(length - point);
        ids.insert(ids.end(), rest.begin(), rest.end());
        add(response, std::move(ids));
      }
    }
  }
  return batch;
}

// Rank 0 of several, whose messages go nowhere.
class DryRanks final : public learner::RankGroup {
 public:
  explicit DryRanks(int size) : size_(size) {}
  int rank() const override { return 0; }
  int size() const override { return size_; }
  std::unique_ptr<Transfer> Send(const at::Tensor&, int) override {
    return std::make_unique<Sent>();
  }
  std::unique_ptr<Transfer> Receive(const at::Tensor&, int) override {
    return std::make_unique<Sent>();
  }

 private:
  struct Sent final : Transfer {
    void Wait() override {}
  };
  const int size_;
};

// Bytes of the device at their most, from the loaded model to its first optimizer step. What is
// published leaves the device without taking more of it.
int64_t PeakOf(const config::Config& config, const RunShape& shape,
               const std::vector<double>& points) {
  const at::Device device = device::DryDevice(kDevice);
  device::ResetDryPeak();
  model::Tensors weights;
  for (const auto& [name, extents] : model::TensorShapes(shape.model)) {
    weights[name] =
        at::empty(extents, at::TensorOptions(model::ToScalarType(shape.dtype)).device(device));
  }
  const int ranks = static_cast<int>(config.learner.ranks);
  DryRanks group(ranks);
  learner::Trainer trainer(shape.model, std::move(weights), shape.dtype,
                           learner::TrainerOptionsOf(config), ranks > 1 ? &group : nullptr);
  const auto statistics = trainer.Train(Tree(config, points), nullptr);
  EXPECT_TRUE(statistics.ok()) << statistics.status();
  EXPECT_EQ(trainer.counters().updates, 1);
  return device::DryPeak();
}

void ExpectEstimated(const config::Config& config, const std::vector<double>& points = {.25, .5}) {
  const auto shape = ReadRunShape(config);
  ASSERT_TRUE(shape.ok()) << shape.status();
  const DeviceEstimate estimate = EstimateLearnerDevice(config, *shape, kDevice);
  int64_t context = 0;
  std::string parts;
  for (const DeviceEstimate::Part& part : estimate.parts) {
    if (part.what == kContext) context = part.bytes;
    parts += part.what + " " + std::to_string(part.bytes) + "\n";
  }
  const int64_t estimated = estimate.total() - context;
  const int64_t peak = PeakOf(config, *shape, points);
  ::testing::Test::RecordProperty("peak_bytes", std::to_string(peak));
  ::testing::Test::RecordProperty("estimated_bytes", std::to_string(estimated));
  EXPECT_LE(peak + context, kDevice);
  EXPECT_LE(peak, estimated) << parts;
  EXPECT_LE(std::abs(peak - estimated), estimated / 10) << peak << " of\n" << parts;
}

TEST(LearnerMemory, OfThePapersSmallerModelFitsOneGpuAsEstimated) {
  ExpectEstimated(Preset("attnrl-1.5b"));
}

TEST(LearnerMemory, OfThePapersLargerModelFitsEachOfEightGpusAsEstimated) {
  ExpectEstimated(Preset("attnrl-7b"));
}

// There is no kernel for trees: early branch points take masks, late ones copies of keys.
TEST(LearnerMemory, OfTheSmallerModelInFloat32IsAsEstimatedWhereverResponsesBranch) {
  ExpectEstimated(Preset("attnrl-1.5b", {"model.dtype=float32"}), {.25, .5});
  // So many rows have all thirty leaves of a problem: what their keys take is an eighth of all.
  ExpectEstimated(
      Preset("attnrl-1.5b", {"model.dtype=float32", "learner.max_tokens_per_pass=53200"}),
      {.98, .99});
}

}  // namespace
}  // namespace attnrl::tools
