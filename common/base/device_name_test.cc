// SPDX-License-Identifier: Apache-2.0
#include "common/base/device_name.h"

#include <gtest/gtest.h>

namespace attnrl {
namespace {

TEST(DeviceName, IsCpuOrAGpuWithOrWithoutItsNumber) {
  EXPECT_FALSE(ParseDeviceName("cpu")->gpu);
  EXPECT_TRUE(ParseDeviceName("cuda")->gpu);
  EXPECT_EQ(ParseDeviceName("cuda")->number, -1);
  EXPECT_EQ(ParseDeviceName("cuda:0")->number, 0);
  EXPECT_EQ(ParseDeviceName("cuda:15")->number, 15);
}

TEST(DeviceName, OfAnotherFormIsNone) {
  for (const char* text : {"", "tpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cuda:01",
                           "cuda:100", "cuda: 1", "cuda0", "cpu:0"}) {
    EXPECT_FALSE(ParseDeviceName(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace attnrl
