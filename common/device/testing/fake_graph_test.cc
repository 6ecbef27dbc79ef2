// SPDX-License-Identifier: Apache-2.0
#include "common/device/testing/fake_graph.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <memory>

#include "common/device/testing/fake_device.h"
#include "common/device/testing/fake_memory.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::device {
namespace {

struct Double {
  struct Arguments {
    const float* from;
    float* to;
  };
  struct Shared {};
  static constexpr int kThreads = 32;
  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    a.to[cuda::ThreadIndex()] = 2 * a.from[cuda::ThreadIndex()];
  }
};

at::Tensor Launch(const at::Tensor& x) {
  cuda::EmulateUnder([] { return std::make_shared<OpenAllMemory>(); });
  at::Tensor y = at::empty_like(x);
  EXPECT_TRUE(cuda::Emulate<Double>({}, {x.const_data_ptr<float>(), y.mutable_data_ptr<float>()},
                                    cuda::ThreadOrder::kShuffled)
                  .ok());
  return y;
}

at::Tensor Given(double number) { return at::full({32}, number, at::kFloat).to(FakeDevice()); }

TEST(FakeGraph, ComputesWhatWasRecordedOfTheNumbersThatAreThereNow) {
  const c10::InferenceMode inference;
  const at::Tensor x = Given(1);
  const at::Tensor count = Given(0);
  at::Tensor result;
  FakeGraphRecorder recorder;
  const auto graph = recorder.Record([&] {
    count.add_(1);
    result = Launch(x + 3).mul(10).add_(count);
  });
  for (int replay = 1; replay < 3; ++replay) {
    x.copy_(at::full({32}, replay, at::kFloat));
    graph->Replay();
    EXPECT_EQ(result.cpu()[31].item<float>(), static_cast<float>(20 * (replay + 3) + replay + 1))
        << "what LibTorch computes is computed while it is recorded, too";
  }
}

TEST(FakeGraph, KeepsItsMemoryUntilItGoes) {
  const c10::InferenceMode inference;
  const at::Tensor x = Given(1);
  const int64_t before = FakeDeviceBytes();
  FakeGraphRecorder recorder;
  auto graph = recorder.Record([&] { Launch(Launch(x)); });
  EXPECT_EQ(FakeDeviceBytes(), before + 2 * 32 * 4);
  graph->Replay();
  graph.reset();
  EXPECT_EQ(FakeDeviceBytes(), before);
  EXPECT_EQ(FakeGraphRecorder::alive(), 0);
}

TEST(FakeGraph, RecordsNothingThatGoesToTheHostOrComesFromThere) {
  const c10::InferenceMode inference;
  const at::Tensor x = Given(1);
  FakeGraphRecorder recorder;
  EXPECT_THROW(recorder.Record([&] { x.cpu(); }), c10::Error);
  EXPECT_THROW(recorder.Record([&] { x.copy_(at::ones({32})); }), c10::Error);
  EXPECT_THROW(recorder.Record([&] { x.sum().item(); }), c10::Error);
  EXPECT_EQ(recorder.recorded(), 0);
  EXPECT_NO_THROW(x.cpu()) << "afterwards it is as before";
}

TEST(FakeGraph, AReplayOverMemoryThatHasGoneIsASegmentationFault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const c10::InferenceMode inference;
  at::Tensor x = Given(1);
  FakeGraphRecorder recorder;
  const auto graph = recorder.Record([&] { Launch(x); });
  x = at::Tensor();
  EXPECT_DEATH(graph->Replay(), "");
}

}  // namespace
}  // namespace attnrl::device
