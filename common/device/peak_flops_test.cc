// SPDX-License-Identifier: Apache-2.0
#include "common/device/peak_flops.h"

#include <gtest/gtest.h>

namespace attnrl::device {
namespace {

TEST(PeakFlops, AreThoseOfTheDataSheetsByTheDriversName) {
  EXPECT_EQ(PeakFlops("NVIDIA A100-SXM4-80GB"), 312e12);
  EXPECT_EQ(PeakFlops("NVIDIA H100 80GB HBM3"), 989e12);
  EXPECT_EQ(PeakFlops("NVIDIA H100 PCIe"), 756e12);
  EXPECT_EQ(PeakFlops("NVIDIA H200"), 989e12);
  EXPECT_EQ(PeakFlops("NVIDIA H200 NVL"), 835e12);
  EXPECT_EQ(PeakFlops("NVIDIA L40S"), 362e12);
  EXPECT_EQ(PeakFlops("NVIDIA B200"), 2250e12);
}

TEST(PeakFlops, AreUnknownOfOtherGpusAndOfSlicesOfOne) {
  for (const char* name : {"", "NVIDIA H20", "NVIDIA L40", "NVIDIA H100 64GB HBM2",
                           "NVIDIA A100-SXM4-80GB MIG 1g.10gb", "AMD Instinct MI300X"}) {
    EXPECT_FALSE(PeakFlops(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace attnrl::device
