// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace attnrl::attention {

// For tests only: a test binary that includes this runs LibTorch on one thread, except where a test
// asks for more. The tensors of tests are small: more threads would only wait for each other, and
// for the other tests that run at the same time.
class OneThread : public testing::Environment {
 public:
  void SetUp() override { at::set_num_threads(1); }
};
inline testing::Environment* const kOneThread = testing::AddGlobalTestEnvironment(new OneThread);

}  // namespace attnrl::attention
