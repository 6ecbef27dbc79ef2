// SPDX-License-Identifier: Apache-2.0
#include "common/device/nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::device {
namespace {

using testing::HasSubstr;

TEST(Nvml, SaysAGpusMemory) {
  const auto nvml = Nvml::Load(ATTNRL_FAKE_NVML);
  ASSERT_TRUE(nvml.ok()) << nvml.status();
  const auto memory = (*nvml)->MemoryOf("0000:01:00.0");
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->total, 90000);
  EXPECT_EQ(memory->free, 60000);
}

TEST(Nvml, SaysWhichGpuItDoesNotKnow) {
  const auto nvml = Nvml::Load(ATTNRL_FAKE_NVML);
  ASSERT_TRUE(nvml.ok()) << nvml.status();
  const auto memory = (*nvml)->MemoryOf("0000:09:00.0");
  EXPECT_TRUE(absl::IsUnavailable(memory.status()));
  EXPECT_EQ(std::string(memory.status().message()), "GPU 0000:09:00.0: Not Found");
}

TEST(Nvml, IsNotThereWhereThereIsNoSuchLibrary) {
  EXPECT_THAT(std::string(Nvml::Load("libno-such-library.so.1").status().message()),
              HasSubstr("NVML can't be loaded: libno-such-library.so.1"));
  // A library, but another one.
  EXPECT_EQ(std::string(Nvml::Load("libm.so.6").status().message()),
            "libm.so.6 isn't NVML, or of another version");
}

}  // namespace
}  // namespace attnrl::device
