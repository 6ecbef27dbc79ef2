// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "services/verifier/process/grader_pool.h"

namespace attnrl::verifier {

// For tests only.

// The grader of test_grader_main.cc.
inline constexpr char kTestGrader[] = ATTNRL_BINARY_DIR "/tests/verifier_test_grader";

inline std::unique_ptr<GraderPool> StartPool(GraderPoolOptions options) {
  if (options.binary.empty()) options.binary = kTestGrader;
  auto pool = GraderPool::Start(std::move(options));
  EXPECT_TRUE(pool.ok()) << pool.status();
  return pool.ok() ? *std::move(pool) : nullptr;
}

// A request whose answer is right.
inline GradeRequest Right(int i) {
  const std::string id = std::to_string(i);
  return {id, "so \\boxed{" + id + "}", {id}};
}

}  // namespace attnrl::verifier
