// SPDX-License-Identifier: Apache-2.0
#include "common/device/gpu_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/observe/metrics.h"

namespace attnrl::device {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(GpuMetrics, SayWhatOfTheGpusMemoryIsUsedAndFree) {
  auto nvml = Nvml::Load(ATTNRL_FAKE_NVML);
  ASSERT_TRUE(nvml.ok()) << nvml.status();
  ReportGpuMemory(*std::move(nvml), "0000:01:00.0");
  const std::string text = observe::MetricsText();
  EXPECT_THAT(text, HasSubstr("\nattnrl_gpu_memory_bytes{state=\"used\"} 30000\n"));
  EXPECT_THAT(text, HasSubstr("\nattnrl_gpu_memory_bytes{state=\"free\"} 60000\n"));
}

TEST(GpuMetrics, HaveAPeakWhereOneIsGivenOrKnown) {
  ReportPeakFlops(at::Device(at::kCPU), /*bfloat16=*/true, /*given=*/0, "learner");
  EXPECT_THAT(observe::MetricsText(), Not(HasSubstr("attnrl_device_peak_flops{")));
  ReportPeakFlops(at::Device(at::kCPU), /*bfloat16=*/false, /*given=*/3e11, "worker");
  EXPECT_THAT(observe::MetricsText(),
              HasSubstr("\nattnrl_device_peak_flops{role=\"worker\"} 300000000000\n"));
}

}  // namespace
}  // namespace attnrl::device
