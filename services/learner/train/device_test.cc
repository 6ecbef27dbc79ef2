// SPDX-License-Identifier: Apache-2.0
// The trainer on a device whose memory the host can't touch.
#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/device/testing/dry_device.h"
#include "common/device/testing/fake_device.h"
#include "common/model/files/weights.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/train/token_scores.h"
#include "services/learner/train/trainer.h"

namespace attnrl::learner {
namespace {

TrainerOptions WithKl() {
  TrainerOptions options = TinyOptions();
  options.objective.kl_weight = 0.05;
  return options;
}

std::unique_ptr<Trainer> MakeTrainer(const std::string& folder, at::Device device,
                                     const TrainerOptions& options = WithKl(),
                                     model::DType dtype = model::DType::kFloat32) {
  return TinyTrainer(folder, options, dtype, nullptr, device);
}

// The ways to train, by name.
std::map<std::string, TrainerOptions> Variants() {
  std::map<std::string, TrainerOptions> variants;
  variants["behaviour"] = WithKl();
  variants["entropy"] = WithKl();
  variants["entropy"].objective.entropy_weight = 0.01;
  variants["truncated_is"] = WithKl();
  variants["truncated_is"].objective.correction = Correction::kTruncatedIs;
  variants["decoupled"] = WithKl();
  variants["decoupled"].objective.correction = Correction::kDecoupled;
  variants["lora"] = WithKl();
  variants["lora"].lora.rank = 2;
  return variants;
}

TEST(TrainerOnADevice, TakesTheStepsOfTheCpu) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  for (const auto& [name, options] : Variants()) {
    SCOPED_TRACE(name);
    const auto cpu = MakeTrainer(folder.path(), at::Device(at::kCPU), options);
    const auto fake = MakeTrainer(folder.path(), device::FakeDevice(), options);
    for (uint32_t batch = 0; batch < 2; ++batch) {
      const auto expected = cpu->Train(TinyBatch(batch), nullptr);
      const auto found = fake->Train(TinyBatch(batch), nullptr);
      ASSERT_TRUE(expected.ok()) << expected.status();
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_NEAR(found->loss, expected->loss, 1e-5);
      EXPECT_NEAR(found->grad_norm, expected->grad_norm, 1e-4 * expected->grad_norm);
    }
    EXPECT_EQ(fake->counters(), cpu->counters());
    const at::Tensor values = fake->parameters().values();
    EXPECT_EQ(values.device(), device::FakeDevice());
    EXPECT_TRUE(values.cpu().allclose(cpu->parameters().values(), 1e-3, 1e-5));
  }
}

TEST(TrainerOnADevice, TakesTheStepsOfTheCpuInBFloat16) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  const auto make = [&](at::Device device) {
    return MakeTrainer(folder.path(), device, WithKl(), model::DType::kBFloat16);
  };
  const auto cpu = make(at::kCPU), fake = make(device::FakeDevice());
  EXPECT_EQ(fake->parameters().leaves().begin()->second.scalar_type(), at::kBFloat16);
  const auto expected = cpu->Train(TinyBatch(0), nullptr);
  const auto found = fake->Train(TinyBatch(0), nullptr);
  ASSERT_TRUE(expected.ok()) << expected.status();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_NEAR(found->loss, expected->loss, 1e-2);
  EXPECT_NEAR(found->grad_norm, expected->grad_norm, 0.05 * expected->grad_norm);
  EXPECT_EQ(fake->counters(), cpu->counters());
}

TEST(TrainerOnADevice, WaitsForItTwiceAnOptimizerStepWhateverThePasses) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  const scheduler::TrainingBatch batch = TinyBatch(0);
  for (const int64_t budget : {1, 16384}) {  // each sample in a pass of its own, or all in one
    TrainerOptions options = WithKl();
    options.max_tokens_per_pass = budget;
    const auto trainer = MakeTrainer(folder.path(), device::FakeDevice(), options);
    const int64_t steps = static_cast<int64_t>(trainer->Minibatches(batch).size());
    const int64_t passes = budget == 1 ? static_cast<int64_t>(batch.samples.size()) : steps;
    const device::TrafficMeter meter;
    ASSERT_TRUE(trainer->Train(batch, nullptr).ok());
    const device::Traffic cost = meter.Read();
    EXPECT_EQ(cost.copies_to_host, 2 * steps) << "statistics and the gradient's norm";
    EXPECT_EQ(cost.values_to_host, 0);
    EXPECT_EQ(cost.blocking_copies_to_device, 0);
    // Tokens, targets, and the layout of attention for policy and reference.
    EXPECT_EQ(cost.copies_to_device, 4 * passes);
  }
}

TEST(TrainerOnADevice, WaitsForItNoOftenerHoweverItTrains) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  const scheduler::TrainingBatch batch = TinyBatch(0);
  for (const model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    for (const auto& [name, options] : Variants()) {
      SCOPED_TRACE(name);
      const auto trainer = MakeTrainer(folder.path(), device::FakeDevice(), options, dtype);
      const auto steps = static_cast<int64_t>(trainer->Minibatches(batch).size());
      ASSERT_GT(steps, 1) << "the proximal policy is measured for the second step";
      const device::TrafficMeter meter;
      ASSERT_TRUE(trainer->Train(batch, nullptr).ok());
      EXPECT_EQ(meter.Read().copies_to_host, 2 * steps);
      EXPECT_EQ(meter.Read().values_to_host, 0);
      EXPECT_EQ(meter.Read().blocking_copies_to_device, 0);
    }
  }
}

TEST(TrainerOnADevice, TakesTheSameStepsWithTheMomentsOnTheHost) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  const auto here = MakeTrainer(folder.path(), device::FakeDevice());
  TrainerOptions on_host = WithKl();
  on_host.moments = Parameters::Moments::kOnHost;
  const auto there = MakeTrainer(folder.path(), device::FakeDevice(), on_host);
  EXPECT_TRUE(there->parameters().first_moment().is_cpu());
  EXPECT_TRUE(there->parameters().second_moment().is_cpu());
  for (uint32_t batch = 0; batch < 2; ++batch) {
    const device::TrafficMeter of_here;
    ASSERT_TRUE(here->Train(TinyBatch(batch), nullptr).ok());
    const int64_t pageable = of_here.Read().pageable_copies;
    const device::TrafficMeter of_there;
    ASSERT_TRUE(there->Train(TinyBatch(batch), nullptr).ok());
    EXPECT_EQ(of_there.Read().pageable_copies, pageable) << "moments travel from pinned memory";
  }
  const auto same = [](const at::Tensor& a, const at::Tensor& b) {
    return at::equal(a.cpu(), b.cpu());
  };
  EXPECT_TRUE(same(here->parameters().values(), there->parameters().values()));
  EXPECT_TRUE(same(here->parameters().first_moment(), there->parameters().first_moment()));
  EXPECT_TRUE(same(here->parameters().second_moment(), there->parameters().second_moment()));
}

TEST(TrainerOnADevice, TakesTheSameStepsWhereverTheReferenceLiesAndWaitsForNoLayerOfIt) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  for (const model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    int64_t pageable = 0;  // of a step whose reference lies on the device
    const auto train = [&](const ReferenceOptions& reference, int64_t* held) {
      TrainerOptions options = WithKl();
      options.reference = reference;
      const int64_t before = device::FakeDeviceBytes();
      const auto trainer = MakeTrainer(folder.path(), device::FakeDevice(), options, dtype);
      *held = device::FakeDeviceBytes() - before;
      const auto steps = static_cast<int64_t>(trainer->Minibatches(TinyBatch(0)).size());
      const device::TrafficMeter meter;
      EXPECT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
      const device::Traffic cost = meter.Read();
      EXPECT_EQ(cost.copies_to_host, 2 * steps) << "statistics and the gradient's norm";
      EXPECT_EQ(cost.blocking_copies_to_device, 0);
      if (reference.place == ReferencePlace::kDevice) pageable = cost.pageable_copies;
      EXPECT_EQ(cost.pageable_copies, pageable) << "layers travel from pinned memory";
      return trainer->parameters().values().cpu();
    };
    int64_t held_here = 0;
    const at::Tensor expected = train({}, &held_here);
    for (const ReferencePlace place : {ReferencePlace::kHost, ReferencePlace::kDisk}) {
      int64_t held = 0;
      EXPECT_TRUE(at::equal(train({.place = place, .folder = folder.path()}, &held), expected));
      EXPECT_LT(held, held_here - model::CountParameters(TinyConfig(folder.path())));
    }
  }
}

TEST(TrainerOnADevice, PublishesItsWeightsInOneCopyToTheHost) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  const auto trainer = MakeTrainer(folder.path(), device::FakeDevice());
  const device::TrafficMeter meter;
  const model::Tensors published = trainer->parameters().OnHost();
  EXPECT_EQ(meter.Read().copies_to_host, 1);
  EXPECT_EQ(meter.Read().pageable_copies, 0);
  EXPECT_EQ(meter.Read().bytes_to_host, 4 * trainer->parameters().layout().padded());
  for (const auto& [name, leaf] : trainer->parameters().leaves()) {
    EXPECT_TRUE(at::equal(published.at(name), leaf.detach().cpu())) << name;
  }
}

// Conversions between types while this lives.
class Conversions {
 public:
  Conversions() {
    found_ = 0;
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(&Look));
  }
  ~Conversions() { at::removeCallback(handle_); }
  static int64_t found() { return found_; }

 private:
  static std::unique_ptr<at::ObserverContext> Look(const at::RecordFunction& call) {
    if (std::string(call.name()) == "aten::_to_copy") ++found_;
    return nullptr;
  }

  static inline int64_t found_ = 0;
  at::CallbackHandle handle_;
};

// Of a vocabulary whose logits come in several chunks, on a device that computes nothing.
TEST(ScorePassOnADevice, WidensAHeadInTrainingOnceAPass) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  model::ModelConfig config = TinyConfig(folder.path());
  config.vocab_size = 1 << 20;
  config.max_position_embeddings = 2000;
  const at::Device device = device::DryDevice(int64_t{1} << 40);
  model::Tensors weights;
  for (const auto& [name, shape] : model::TensorShapes(config)) {
    weights[name] = at::empty(shape, at::device(device).dtype(at::kBFloat16));
    weights[name].set_requires_grad(true);
  }
  const model::Transformer transformer(config, weights);
  constexpr int64_t kRows = 64;  // of a chunk
  ASSERT_EQ(kLogitBytes, kRows * config.vocab_size * 4);
  const auto conversions = [&](int64_t chunks) {
    const std::vector<int32_t> prompt = {1}, response(static_cast<size_t>(chunks * kRows), 3);
    const std::vector<PassSequence> sequences = {{prompt, response}};
    const Pass pass = MakePass(sequences, Prefixes::kOnce, device);
    const Conversions meter;
    ScorePass(transformer, pass, /*temperature=*/1, /*entropy=*/false);
    return meter.found();
  };
  EXPECT_EQ(conversions(16) - conversions(5), 16 - 5) << "of the states of each chunk";
}

}  // namespace
}  // namespace attnrl::learner
