// SPDX-License-Identifier: Apache-2.0
#include "common/model/numerics.h"

#include <gmock/gmock.h>

#include "common/device/gpus.h"

namespace attnrl::model {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Numerics, AreNamedByModeInstructionsDTypeAndBuild) {
  EXPECT_THAT(NumericsId(DType::kFloat32, at::kCPU, true), testing::StartsWith("fixed-order/"));
  EXPECT_THAT(NumericsId(DType::kBFloat16, at::kCPU, false), HasSubstr("/bfloat16/"));
  EXPECT_NE(NumericsId(DType::kBFloat16, at::kCPU, true),
            NumericsId(DType::kFloat32, at::kCPU, true));
  // Whatever multiplies bfloat16 numbers doesn't touch a float32 model.
  EXPECT_THAT(NumericsId(DType::kFloat32, at::kCPU, true), Not(HasSubstr("bf16")));
}

TEST(Numerics, OfAGpuNameItAndNotTheProcessorBesideIt) {
  EXPECT_THAT(NumericsId(DType::kBFloat16, at::Device(at::kCUDA, 0), false),
              testing::StartsWith("standard/" + device::DescribeGpu(0) + "/bfloat16/torch-"));
}

}  // namespace
}  // namespace attnrl::model
