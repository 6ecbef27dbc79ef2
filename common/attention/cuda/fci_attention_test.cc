// SPDX-License-Identifier: Apache-2.0
// FCI of whole sequences by the kernels of a GPU, emulated over the memory of the fake device.
#include "common/attention/cuda/fci_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "common/attention/cuda/testing/emulated_fci.h"
#include "common/attention/fci/fci.h"
#include "common/attention/testing/reference.h"
#include "common/device/testing/fake_device.h"
#include "common/device/testing/fake_memory.h"

namespace attnrl::attention {
namespace {

constexpr int64_t kLayers = 3;
constexpr Heads kHeads = {6, 2, 64};

std::vector<FciSequence> Sequences() {
  return {{.steps = {{0, 17}, {17, 29}, {29, 50}, {50, 51}, {51, 90}, {90, 131}}},
          {.steps = {{0, 3}, {3, 9}}},
          {.steps = {{0, 20}, {20, 25}, {25, 66}, {66, 70}, {70, 77}}, .think_end_step = 3}};
}

TEST(GpuFciAttention, GivesTheScoresAndRowsOfTheCpu) {
  cuda::EmulateUnder([] { return std::make_shared<device::OpenAllMemory>(); });
  const at::Device gpu = device::FakeDevice();
  const std::vector<FciSequence> sequences = Sequences();
  const EmulatedFciKernels kernels;
  for (const int64_t delta : {0, 1, 4}) {
    RandomStream random({.seed = 31});
    const device::TrafficMeter meter;
    GpuFciAttention attention(sequences, kLayers, {.delta = delta}, gpu, kernels);
    FciAttention expected(sequences, kLayers, {.delta = delta});
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      const Inputs inputs = RandomInputs(random, 131 + 9 + 77, kHeads);
      const at::Tensor found =
          attention.Forward(layer, inputs.q.to(gpu), inputs.k.to(gpu), inputs.v.to(gpu));
      const at::Tensor rows = expected.Forward(layer, inputs.q, inputs.k, inputs.v);
      ASSERT_EQ(found.defined(), rows.defined());
      if (rows.defined()) {
        EXPECT_LT(Worst(found.cpu(), rows), 3e-6);
      }
    }
    const device::Traffic before = meter.Read();
    const std::vector<std::vector<float>> scores = attention.Scores();
    EXPECT_EQ(before.values_to_host, 0);
    EXPECT_EQ(meter.Read().copies_to_host - before.copies_to_host, 1);
    for (size_t i = 0; i < scores.size(); ++i) {
      for (size_t step = 0; step < scores[i].size(); ++step) {
        EXPECT_NEAR(scores[i][step], expected.Scores()[i][step], 2e-6) << i << " " << step;
      }
    }
  }
}

TEST(GpuFciAttention, BringsNothingToTheHostButTheScores) {
  cuda::EmulateUnder([] { return std::make_shared<device::OpenAllMemory>(); });
  const at::Device gpu = device::FakeDevice();
  RandomStream random({.seed = 32});
  const Inputs inputs = RandomInputs(random, 131 + 9 + 77, kHeads);
  const at::Tensor q = inputs.q.to(gpu), k = inputs.k.to(gpu), v = inputs.v.to(gpu);
  const EmulatedFciKernels kernels;
  const device::TrafficMeter meter;
  GpuFciAttention attention(Sequences(), kLayers, {}, gpu, kernels);
  for (int64_t layer = 0; layer < kLayers; ++layer) attention.Forward(layer, q, k, v);
  attention.Scores();
  const device::Traffic traffic = meter.Read();
  EXPECT_EQ(traffic.copies_to_device, 1);
  EXPECT_EQ(traffic.copies_to_host, 1);
  EXPECT_EQ(traffic.bytes_to_host, (6 + 2 + 5) * 4);
  EXPECT_EQ(traffic.values_to_host, 0);
}

}  // namespace
}  // namespace attnrl::attention
