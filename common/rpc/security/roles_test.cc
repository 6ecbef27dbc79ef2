// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/security/roles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace attnrl::rpc {
namespace {

using ::testing::HasSubstr;

std::string Refusal(const std::vector<std::string>& uris) {
  const auto identity = IdentityOf(uris, "r");
  EXPECT_TRUE(absl::IsPermissionDenied(identity.status())) << identity.status();
  return std::string(identity.status().message());
}

TEST(Identity, IsTheRunAndTheRoleOfTheOneUri) {
  for (const auto& [word, role] : WordsOf(Role{})) {
    const auto identity = IdentityOf({"spiffe://attnrl/math-7B/" + std::string(word)});
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(identity->run, "math-7B");
    EXPECT_EQ(identity->role, role);
  }
}

TEST(Identity, IsNeverGuessedFromAnythingElse) {
  EXPECT_THAT(Refusal({}), HasSubstr("names 0 URIs; exactly one"));
  EXPECT_THAT(Refusal({"spiffe://attnrl/r/learner", "spiffe://attnrl/r/operator"}),
              HasSubstr("names 2 URIs; exactly one"));
  for (const char* uri :
       {"", "learner", "spiffe://attnrl/learner", "spiffe://attnrl//learner", "spiffe://attnrl/r/",
        "spiffe://attnrl/r/Learner", "spiffe://attnrl/r/learner/", "spiffe://attnrl/a/r/learner",
        "spiffe://elsewhere/r/learner", "https://attnrl/r/learner", "spiffe://attnrl.org/r/learner",
        "spiffe://attnrl/r/admin"}) {
    EXPECT_THAT(Refusal({uri}), HasSubstr("it must be spiffe://attnrl/<run.id>/<role>")) << uri;
  }
}

TEST(Identity, OfAnotherRunIsRefusedByBothNames) {
  EXPECT_EQ(Refusal({"spiffe://attnrl/other/operator"}),
            "the certificate is of the run other; this is the run r (run.id)");
}

TEST(Access, RefusalsNameTheRoleTheMethodAndWhoMay) {
  EXPECT_EQ(CheckAccess(Role::kRolloutWorker, "BranchScheduler/CommitBatch").message(),
            "the role rollout-worker may not call BranchScheduler/CommitBatch; learner may");
  EXPECT_EQ(CheckAccess(Role::kLearner, "WeightStore/Fetch").message(),
            "the role learner may not call WeightStore/Fetch; rollout-worker, operator may");
}

TEST(Access, IsDeniedToEverybodyWhereAMethodHasNoRow) {
  for (const auto& [word, role] : WordsOf(Role{})) {
    EXPECT_TRUE(absl::IsPermissionDenied(CheckAccess(role, "BranchScheduler/Forget"))) << word;
    EXPECT_TRUE(absl::IsPermissionDenied(CheckAccess(role, ""))) << word;
  }
}

}  // namespace
}  // namespace attnrl::rpc
