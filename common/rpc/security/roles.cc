// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/security/roles.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace attnrl::rpc {
namespace {

constexpr std::string_view kTrustDomain = "spiffe://attnrl/";
constexpr char kForm[] = "spiffe://attnrl/<run.id>/<role>";

std::string Names(const std::vector<Role>& roles) {
  return absl::StrJoin(roles, ", ", [](std::string* out, Role role) { out->append(WordOf(role)); });
}

std::string AllRoles() {
  std::vector<Role> roles;
  for (const auto& each : WordsOf(Role{})) roles.push_back(each.value);
  return Names(roles);
}

}  // namespace

absl::StatusOr<Identity> IdentityOf(const std::vector<std::string>& uris) {
  if (uris.size() != 1) {
    return absl::PermissionDeniedError(absl::StrCat("the certificate names ", uris.size(),
                                                    " URIs; exactly one is needed, ", kForm));
  }
  const std::string_view uri = uris[0];
  const size_t slash = uri.rfind('/');
  if (uri.starts_with(kTrustDomain) && slash > kTrustDomain.size()) {
    const std::string_view run = uri.substr(kTrustDomain.size(), slash - kTrustDomain.size());
    const std::optional<Role> role = ValueOf<Role>(uri.substr(slash + 1));
    if (role.has_value() && run.find('/') == std::string_view::npos)
      return Identity{std::string(run), *role};
  }
  return absl::PermissionDeniedError(absl::StrCat("the certificate's URI is ", OneLine(uri, 200),
                                                  "; it must be ", kForm, " with the role ",
                                                  AllRoles()));
}

absl::StatusOr<Identity> IdentityOf(const std::vector<std::string>& uris, const std::string& run) {
  ATTNRL_ASSIGN_OR_RETURN(Identity identity, IdentityOf(uris));
  if (identity.run == run) return identity;
  return absl::PermissionDeniedError(absl::StrCat("the certificate is of the run ",
                                                  OneLine(identity.run, 64), "; this is the run ",
                                                  run, " (run.id)"));
}

std::span<const AccessRule> AccessRules() {
  using enum Role;
  static const auto* rules = new std::vector<AccessRule>{
      {"BranchScheduler/Work", {kRolloutWorker}},
      {"BranchScheduler/RegisterLearner", {kLearner}},
      {"BranchScheduler/NextBatch", {kLearner}},
      {"BranchScheduler/CommitBatch", {kLearner}},
      {"BranchScheduler/Status", {kOperator}},
      {"BranchScheduler/WatchStatus", {kOperator}},
      {"BranchScheduler/Pause", {kOperator}},
      {"BranchScheduler/Resume", {kOperator}},
      {"BranchScheduler/Drain", {kOperator}},
      {"Verifier/Verify", {kBranchScheduler}},
      {"WeightStore/Fetch", {kRolloutWorker, kOperator}},
  };
  return *rules;
}

absl::Status CheckAccess(Role role, std::string_view method) {
  const auto rules = AccessRules();
  const auto rule = std::find_if(rules.begin(), rules.end(),
                                 [&](const AccessRule& each) { return each.method == method; });
  const std::vector<Role> callers = rule == rules.end() ? std::vector<Role>() : rule->callers;
  if (std::find(callers.begin(), callers.end(), role) != callers.end()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("the role ", std::string(WordOf(role)), " may not call ", std::string(method),
                   "; ", callers.empty() ? "nobody" : Names(callers), " may"));
}

}  // namespace attnrl::rpc
