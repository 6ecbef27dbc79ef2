// SPDX-License-Identifier: Apache-2.0
#include "services/learner/testing/fake_weight_client.h"

#include <gtest/gtest.h>

#include "services/learner/testing/sample_version.h"

namespace attnrl::learner {
namespace {

TEST(FakeWeightClient, GivesTheBitsUntilItIsCancelled) {
  FakeWeightClient client;
  const Version published = client.Publish(SampleVersion());
  EXPECT_TRUE(client.Fetch(published, nullptr, absl::Seconds(1)).ok());
  EXPECT_TRUE(absl::IsNotFound(client.Fetch({9, ""}, nullptr, absl::Seconds(1)).status()));
  client.Cancel();
  EXPECT_TRUE(absl::IsCancelled(client.Fetch(published, nullptr, absl::Seconds(1)).status()));
}

}  // namespace
}  // namespace attnrl::learner
