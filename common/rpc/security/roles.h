// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/words.h"

namespace attnrl::rpc {

// What a certificate says that its holder is. Operators are people and their tools.
enum class Role { kRolloutWorker, kBranchScheduler, kVerifier, kLearner, kOperator };
inline std::vector<Word<Role>> WordsOf(Role) {
  return {{"rollout-worker", Role::kRolloutWorker},
          {"branch-scheduler", Role::kBranchScheduler},
          {"verifier", Role::kVerifier},
          {"learner", Role::kLearner},
          {"operator", Role::kOperator}};
}

// Who a process is: the one URI among its certificate's alternative names,
// "spiffe://attnrl/<run.id>/<role>".
struct Identity {
  std::string run = {};
  Role role = {};
};

// kPermissionDenied saying what `uris` of a certificate have to be.
absl::StatusOr<Identity> IdentityOf(const std::vector<std::string>& uris);
// The same, and of the run `run`.
absl::StatusOr<Identity> IdentityOf(const std::vector<std::string>& uris, const std::string& run);

// Which roles may call a method.
struct AccessRule {
  std::string_view method;  // "BranchScheduler/Drain", as Handle is told
  std::vector<Role> callers;
};

// One row for every method of every service.
std::span<const AccessRule> AccessRules();

// kPermissionDenied naming role, method and who may, also for a method without a row.
absl::Status CheckAccess(Role role, std::string_view method);

}  // namespace attnrl::rpc
