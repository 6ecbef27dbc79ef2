// SPDX-License-Identifier: Apache-2.0
#include "common/model/numerics.h"

#include <gmock/gmock.h>

namespace attnrl::model {
namespace {

using testing::HasSubstr;

TEST(Numerics, AreNamedByModeInstructionsDTypeAndBuild) {
  EXPECT_THAT(NumericsId(DType::kFloat32, at::kCPU, true), testing::StartsWith("fixed-order/"));
  EXPECT_THAT(NumericsId(DType::kBFloat16, at::kCPU, false), HasSubstr("/bfloat16/"));
  EXPECT_NE(NumericsId(DType::kBFloat16, at::kCPU, true),
            NumericsId(DType::kFloat32, at::kCPU, true));
}

}  // namespace
}  // namespace attnrl::model
