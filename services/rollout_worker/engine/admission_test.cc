// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/admission.h"

#include <gtest/gtest.h>

#include <vector>

namespace attnrl::rollout {
namespace {

using Waiting = std::vector<WaitingVersion>;
using Running = std::vector<uint32_t>;

TEST(Admission, TakesTheOldestVersionThatHasItsWeights) {
  EXPECT_EQ(NextVersion(Waiting{{3, true}, {4, true}}, Running{}, 2), 3U);
  EXPECT_EQ(NextVersion(Waiting{{3, false}, {4, true}}, Running{}, 2), 4U);
  EXPECT_EQ(NextVersion(Waiting{{3, false}}, Running{}, 2), std::nullopt);
  EXPECT_EQ(NextVersion(Waiting{}, Running{3}, 2), std::nullopt);
}

TEST(Admission, RunsNoMoreVersionsAtOnceThanAreResident) {
  EXPECT_EQ(NextVersion(Waiting{{4, true}}, Running{3}, 2), 4U);
  EXPECT_EQ(NextVersion(Waiting{{4, true}}, Running{3}, 1), std::nullopt);
  EXPECT_EQ(NextVersion(Waiting{{3, true}, {4, true}}, Running{3}, 1), 3U);
}

TEST(Admission, ANewerVersionDoesNotOvertakeAnOlderOneThatWaitsForRoom) {
  EXPECT_EQ(NextVersion(Waiting{{3, true}, {5, true}}, Running{4, 5}, 2), std::nullopt);
}

}  // namespace
}  // namespace attnrl::rollout
