// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/testing/fake_verifier_client.h"

#include <gtest/gtest.h>

namespace attnrl::verifier {
namespace {

TEST(FakeVerifierClient, GradesByTheTextOfTheBox) {
  FakeVerifierClient client;
  auto results =
      client.Verify({{"a", "\\boxed{2}", {"1", "2"}}, {"b", "2", {"2"}}}, absl::Seconds(1));
  ASSERT_TRUE(results.ok());
  EXPECT_TRUE((*results)[0].correct);
  EXPECT_EQ((*results)[0].matched, 1);
  EXPECT_EQ((*results)[0].id, "a");
  EXPECT_EQ((*results)[1].status, GradeStatus::kNoAnswer);
  EXPECT_EQ(client.requests().size(), 2u);
}

TEST(FakeVerifierClient, FailsAsOftenAsItIsToldTo) {
  FakeVerifierClient client;
  client.FailCalls(1, absl::UnavailableError("away"));
  EXPECT_TRUE(absl::IsUnavailable(client.Verify({}, absl::Seconds(1)).status()));
  EXPECT_TRUE(client.Verify({}, absl::Seconds(1)).ok());
}

}  // namespace
}  // namespace attnrl::verifier
