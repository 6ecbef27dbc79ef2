// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/seats.h"

#include <gtest/gtest.h>

namespace attnrl::rpc {
namespace {

TEST(Seats, RefuseACallWhileAllAreTakenAndNameTheBound) {
  Seats seats("WatchStatus", 2);
  absl::Status third;
  const absl::Status first = seats.Run([&] {
    return seats.Run([&] {
      third = seats.Run([] { return absl::OkStatus(); });
      return absl::OkStatus();
    });
  });
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_EQ(third, absl::ResourceExhaustedError(
                       "2 calls of WatchStatus are under way, as many as are allowed"));
}

TEST(Seats, AreFreeAgainAfterACallThatFailed) {
  Seats seats("Drain", 1);
  const absl::Status failed = absl::AbortedError("it was resumed");
  EXPECT_EQ(seats.Run([&] { return failed; }), failed);
  EXPECT_TRUE(seats.Run([] { return absl::OkStatus(); }).ok());
}

}  // namespace
}  // namespace attnrl::rpc
