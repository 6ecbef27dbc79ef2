// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/sample_launch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "common/kernels/cuda/testing/emulator.h"
#include "services/rollout_worker/runner/device_sampler.h"
#include "services/rollout_worker/testing/emulated_sampling.h"

namespace attnrl::rollout {
namespace {

cuda::LaunchError Refusing(const SampleRows&, int64_t) { return "no"; }

struct Step {
  std::vector<SampledRow> rows;
  at::Tensor logits;
  device::Upload upload;

  explicit Step(size_t count, int64_t vocabulary) : rows(count) {
    cuda::EmulateUnder({});  // all is the host's here, unlike in other tests of this binary
    logits = at::empty({static_cast<int64_t>(count), vocabulary}, at::TensorOptions(at::kFloat));
    RandomStream random({.seed = 17});
    auto* const values = logits.mutable_data_ptr<float>();
    for (int64_t i = 0; i < logits.numel(); ++i) {
      values[i] = static_cast<float>(10 * random.Uniform());
    }
    for (size_t i = 0; i < count; ++i) {
      rows[i].params.temperature = i % 3 == 2 ? 0 : 0.5 + 0.5 * static_cast<double>(i % 3);
      rows[i].key = {.seed = 4, .purpose = kSampleToken, .node = static_cast<uint32_t>(i)};
      rows[i].index = static_cast<uint32_t>(2 * i);
    }
  }
  DeviceDraws Draws() {
    DeviceDraws draws(rows, upload);
    upload.Send(at::kCPU);
    draws.Receive(upload);
    return draws;
  }
};

TEST(SampleLaunch, DrawsTheTokensOfTheHostsSampler) {
  Step step(10, 2100);
  const DeviceDraws draws = step.Draws();
  // The rows of a step come in chunks.
  const std::vector<SampledToken> found =
      FetchTokens(at::cat({draws.DrawBy(EmulateSampleRows, step.logits.narrow(0, 0, 7), 0),
                           draws.DrawBy(EmulateSampleRows, step.logits.narrow(0, 7, 3), 7)}));
  Sampler sampler;
  ASSERT_EQ(found.size(), step.rows.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const SampledRow& row = step.rows[i];
    const SampledToken expected = sampler.Sample(
        {step.logits.const_data_ptr<float>() + i * 2100, 2100}, row.params, row.key, row.index);
    EXPECT_EQ(found[i].id, expected.id) << i;
    EXPECT_EQ(found[i].logprob, expected.logprob) << i;
    EXPECT_EQ(found[i].entropy, expected.entropy) << i;
  }
}

TEST(SampleLaunch, SaysWhyItWasRefused) {
  Step step(1, 10);
  const DeviceDraws draws = step.Draws();
  try {
    draws.DrawBy(Refusing, step.logits, 0);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "the GPU: no");
  }
}

}  // namespace
}  // namespace attnrl::rollout
