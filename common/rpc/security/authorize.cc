// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/security/authorize.h"

#include <grpc/grpc_security_constants.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status.h"
#include "common/rpc/security/roles.h"

namespace attnrl::rpc {
namespace {

struct ServedRun {
  absl::Mutex mutex;
  std::string id ABSL_GUARDED_BY(mutex);
};

ServedRun& Served() {
  static auto* served = new ServedRun;
  return *served;
}

std::vector<std::string> Values(const grpc::AuthContext& context, const char* property) {
  std::vector<std::string> values;
  for (const grpc::string_ref& value : context.FindPropertyValues(property)) {
    values.emplace_back(value.data(), value.size());
  }
  return values;
}

}  // namespace

void SetServedRun(const std::string& run) {
  absl::MutexLock lock(&Served().mutex);
  Served().id = run;
}

absl::Status Authorize(const grpc::ServerContextBase& context, std::string_view method) {
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  const std::vector<std::string> transport =
      Values(*peer, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  if (transport == std::vector<std::string>{"insecure"}) return absl::OkStatus();
  if (transport != std::vector<std::string>{"tls"}) {
    return absl::PermissionDeniedError("the caller is not known");
  }
  std::string run;
  {
    absl::MutexLock lock(&Served().mutex);
    run = Served().id;
  }
  const absl::StatusOr<Identity> identity =
      IdentityOf(Values(*peer, GRPC_PEER_URI_PROPERTY_NAME), run);
  if (!identity.ok()) return Annotate(identity.status(), "call of " + std::string(method));
  return CheckAccess(identity->role, method);
}

}  // namespace attnrl::rpc
