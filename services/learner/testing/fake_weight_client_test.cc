// SPDX-License-Identifier: Apache-2.0
#include "services/learner/testing/fake_weight_client.h"

#include <gtest/gtest.h>

#include "services/learner/testing/sample_version.h"

namespace attnrl::learner {
namespace {

TEST(FakeWeightClient, AnnouncesInOrderAndGivesTheBits) {
  FakeWeightClient client;
  VersionData second = SampleVersion();
  const Version published = client.Publish(second);
  second.version = {1, ""};
  client.Publish(second);
  std::vector<uint32_t> numbers;
  ASSERT_TRUE(client
                  .Watch([&numbers](const Version& version) {
                    numbers.push_back(version.number);
                    return numbers.size() < 2;
                  })
                  .ok());
  EXPECT_EQ(numbers, (std::vector<uint32_t>{1, 3}));
  EXPECT_TRUE(client.Fetch(published, nullptr, absl::Seconds(1)).ok());
  EXPECT_TRUE(absl::IsNotFound(client.Fetch({9, ""}, nullptr, absl::Seconds(1)).status()));
  client.Cancel();
  EXPECT_TRUE(absl::IsCancelled(client.Fetch(published, nullptr, absl::Seconds(1)).status()));
}

}  // namespace
}  // namespace attnrl::learner
