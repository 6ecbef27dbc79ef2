// SPDX-License-Identifier: Apache-2.0
#include "common/device/gpu_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/observe/metrics.h"

namespace attnrl::device {
namespace {

using testing::HasSubstr;

TEST(GpuMetrics, SayWhatOfTheGpusMemoryIsUsedAndFree) {
  auto nvml = Nvml::Load(ATTNRL_FAKE_NVML);
  ASSERT_TRUE(nvml.ok()) << nvml.status();
  ReportGpuMemory(*std::move(nvml), "0000:01:00.0");
  const std::string text = observe::MetricsText();
  EXPECT_THAT(text, HasSubstr("\nattnrl_gpu_memory_bytes{state=\"used\"} 30000\n"));
  EXPECT_THAT(text, HasSubstr("\nattnrl_gpu_memory_bytes{state=\"free\"} 60000\n"));
}

}  // namespace
}  // namespace attnrl::device
