// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/serve.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace attnrl::scheduler {
namespace {

TEST(EndOf, AWaitThatASignalHasEndedIsAnOrderlyEnd) {
  const absl::Status cancelled = absl::CancelledError("the wait for it was given up");
  EXPECT_EQ(EndOf(cancelled, /*asked_to_stop=*/true), absl::OkStatus());
  EXPECT_EQ(EndOf(cancelled, /*asked_to_stop=*/false), cancelled);
}

TEST(EndOf, WhoHasLostTheRunIsNotStartedAgain) {
  const absl::Status lost = absl::AbortedError("another one owns the run");
  for (const bool asked : {false, true}) {
    EXPECT_TRUE(IsInputError(EndOf(lost, asked))) << "exit code 2";
    EXPECT_EQ(EndOf(lost, asked).message(), lost.message());
  }
}

TEST(EndOf, EverythingElseStaysWhatItIs) {
  for (const bool asked : {false, true}) {
    EXPECT_EQ(EndOf(absl::OkStatus(), asked), absl::OkStatus());
    EXPECT_EQ(EndOf(absl::UnavailableError("away"), asked), absl::UnavailableError("away"));
  }
}

}  // namespace
}  // namespace attnrl::scheduler
