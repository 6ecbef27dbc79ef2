// SPDX-License-Identifier: Apache-2.0
// The learner's loop around a trainer on a device whose memory the host can't touch.
#include <gtest/gtest.h>

#include <optional>

#include "common/device/testing/fake_device.h"
#include "services/learner/testing/loop_life.h"

namespace attnrl::learner {
namespace {

using LoopOnADevice = LoopTest;

TEST_F(LoopOnADevice, FetchesWeightsOnceAVersion) {
  Life life(model_.path(), run_.path(), {.checkpoint_every = 100}, device::FakeDevice());
  life.AddBatches(4);
  const auto batch = TinyBatch(1, 3);
  const auto steps = static_cast<int64_t>(life.trainer->Minibatches(batch).size());
  std::optional<device::TrafficMeter> meter;
  life.observer.on_done = [&](const StepReport& report) {
    if (report.batch == 0) meter.emplace();
    if (report.batch != 1) return;
    const device::Traffic cost = meter->Read();
    EXPECT_EQ(cost.copies_to_host, 2 * steps + 1) << "what a step is decided by, and the weights";
    EXPECT_GE(cost.bytes_to_host, 4 * life.trainer->parameters().layout().padded());
    EXPECT_EQ(cost.values_to_host, 0);
  };
  const absl::Status status = life.PrepareAndRun();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(life.observer.reports.size(), 4u);
}

TEST_F(LoopOnADevice, ResumesFromItsCheckpointWithTheSameBits) {
  const LoopOptions options = {.checkpoint_every = 2};
  const auto expected = Undisturbed(4, options, device::FakeDevice());
  {
    Life life(model_.path(), run_.path(), options, device::FakeDevice());
    life.AddBatches(4);
    life.DieAfter(2);
    EXPECT_FALSE(life.PrepareAndRun().ok());
  }
  EXPECT_TRUE(Exists("checkpoints/step-2"));
  Life life(model_.path(), run_.path(), options, device::FakeDevice());
  life.AddBatches(4);
  const absl::Status status = life.PrepareAndRun();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(life.trainer->counters().replay_mismatches, 0);
  for (const auto& [number, digest] : life.Digests()) {
    EXPECT_EQ(digest, expected.at(number)) << number;
  }
  EXPECT_EQ(life.Digests().rbegin()->first, 4u);
}

}  // namespace
}  // namespace attnrl::learner
