// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/security/credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/security/certificate.h"
#include "common/rpc/security/expiry.h"

namespace attnrl::rpc {
namespace {

using grpc::experimental::TlsCustomVerificationCheckRequest;

// After the chain was verified: the host's name as gRPC checks it, then run and role.
class ServerVerifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  ServerVerifier(std::string run, Role role) : run_(std::move(run)), role_(role) {}

  bool Verify(TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    // A worker has no name of its own: others are sent to whatever address its call came from.
    if (role_ != Role::kRolloutWorker) host_name_.Verify(request, {}, status);
    if (!status->ok()) return true;
    const absl::Status identity = CheckIdentity(*request);
    if (!identity.ok()) {
      *status = {grpc::StatusCode::PERMISSION_DENIED, std::string(identity.message())};
    }
    return true;
  }
  void Cancel(TlsCustomVerificationCheckRequest*) override {}

 private:
  absl::Status CheckIdentity(const TlsCustomVerificationCheckRequest& request) const {
    std::vector<std::string> uris;
    for (const grpc::string_ref& uri : request.uri_names())
      uris.emplace_back(uri.data(), uri.size());
    ATTNRL_ASSIGN_OR_RETURN(const Identity identity, IdentityOf(uris, run_));
    if (identity.role == role_) return absl::OkStatus();
    return absl::PermissionDeniedError(absl::StrCat("the server's certificate is of the role ",
                                                    std::string(WordOf(identity.role)), "; a ",
                                                    std::string(WordOf(role_)), " was called"));
  }

  const std::string run_;
  const Role role_;
  grpc::experimental::HostNameCertificateVerifier host_name_;
};

absl::StatusOr<std::shared_ptr<grpc::experimental::FileWatcherCertificateProvider>> Watch(
    const Security& security) {
  ATTNRL_RETURN_IF_ERROR(ReadCertificate(security).status());
  ATTNRL_ASSIGN_OR_RETURN(const std::string ca, CaFile(security.ca));
  ExportExpiry(security.certificate);
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      security.key, security.certificate, ca,
      static_cast<unsigned>(absl::ToInt64Seconds(security.refresh)));
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> TlsServer(const Security& security) {
  ATTNRL_ASSIGN_OR_RETURN(auto files, Watch(security));
  grpc::experimental::TlsServerCredentialsOptions options(std::move(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsChannel(const Security& security,
                                                                     Role peer) {
  ATTNRL_ASSIGN_OR_RETURN(auto files, Watch(security));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::move(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_check_call_host(peer != Role::kRolloutWorker);
  options.set_certificate_verifier(
      grpc::experimental::ExternalCertificateVerifier::Create<ServerVerifier>(security.run_id,
                                                                              peer));
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace attnrl::rpc
