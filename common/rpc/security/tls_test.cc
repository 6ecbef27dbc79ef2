// SPDX-License-Identifier: Apache-2.0
// Real servers and clients with real certificates.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/observe/metrics.h"
#include "common/rpc/security/certificate.h"
#include "common/rpc/security/testing/certificates.h"
#include "common/rpc/testing/health.h"
#include "common/rpc/testing/test_services.h"

namespace attnrl::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr absl::Duration kDeadline = absl::Seconds(60);

// A verifier that serves with the certificate it is given.
class TlsTest : public ::testing::Test {
 protected:
  void Serve(const ServerOptions& options) {
    auto server = Server::Start(options, {&service_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->SetServing(true);
  }
  void Serve() { Serve({.address = "localhost:0", .security = authority_.Issue("verifier")}); }

  std::shared_ptr<grpc::Channel> ChannelOf(const Security& security) const {
    auto channel = Connect(server_->address(), {.security = security, .peer = Role::kVerifier});
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *channel;
  }
  static absl::Status Call(const std::shared_ptr<grpc::Channel>& channel) {
    v1::VerifyReply reply;
    return CallVerify(channel, {}, &reply, kDeadline);
  }
  absl::Status Call(const Security& security) const { return Call(ChannelOf(security)); }

  // Of a caller without any of our own checks.
  absl::Status CallAs(const grpc::SslCredentialsOptions& options) const {
    return Call(grpc::CreateChannel(server_->address(), grpc::SslCredentials(options)));
  }
  static grpc::SslCredentialsOptions FilesOf(const CertificateAuthority& authority,
                                             const std::string& name) {
    return {.pem_root_certs = Read(authority.folder() + "/ca.crt"),
            .pem_private_key = Read(authority.folder() + "/" + name + ".key"),
            .pem_cert_chain = Read(authority.folder() + "/" + name + ".crt")};
  }
  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  CertificateAuthority authority_;
  int calls_ = 0;
  TestVerifier service_{[this](const v1::VerifyRequest&, v1::VerifyReply*) {
    ++calls_;
    return absl::OkStatus();
  }};
  std::unique_ptr<Server> server_;
};

TEST_F(TlsTest, LetsTheRoleInThatMayCall) {
  Serve();
  EXPECT_EQ(Call(authority_.Issue("branch-scheduler")), absl::OkStatus());
  EXPECT_EQ(calls_, 1);
}

TEST_F(TlsTest, SaysWhenItsCertificateExpiresAsTheFileStands) {
  const Security security = authority_.Issue("verifier");
  Serve({.address = "localhost:0", .security = security});
  const auto exported = [] {
    observe::MetricsText();
    return observe::GetGauge(observe::kRpcCertificateExpiry).Value();
  };
  EXPECT_EQ(exported(), absl::ToUnixSeconds(ReadCertificate(security)->not_after));
  authority_.Issue("verifier",
                   {.uris = {"spiffe://attnrl/r/verifier"}, .valid_for = absl::Hours(1000)});
  const double renewed = exported();
  EXPECT_EQ(renewed, absl::ToUnixSeconds(ReadCertificate(security)->not_after));
  EXPECT_GT(renewed, absl::ToUnixSeconds(absl::Now() + absl::Hours(900)));
  std::filesystem::remove(security.certificate);
  EXPECT_EQ(exported(), renewed);
}

TEST_F(TlsTest, RefusesARoleThatMayNotBeforeTheHandler) {
  Serve();
  const std::string refused = "attnrl_rpc_rejected_total{reason=\"authz\",service=\"Verifier\"}";
  const double before = Series(refused);
  const absl::Status status = Call(authority_.Issue("rollout-worker"));
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the role rollout-worker may not call Verifier/Verify; branch-scheduler "
                        "may"));
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(Series(refused), before + 1);
}

TEST_F(TlsTest, RefusesTheRightRoleOfAnotherRun) {
  Serve();
  authority_.Issue("other", {.uris = {"spiffe://attnrl/other/branch-scheduler"}});
  const absl::Status status = CallAs(FilesOf(authority_, "other"));
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the certificate is of the run other; this is the run r (run.id)"));
  EXPECT_EQ(calls_, 0);
}

TEST_F(TlsTest, RefusesACertificateWithoutARoleOrWithTwo) {
  Serve();
  authority_.Issue("none", {});
  EXPECT_TRUE(absl::IsPermissionDenied(CallAs(FilesOf(authority_, "none"))));
  authority_.Issue("two",
                   {.uris = {"spiffe://attnrl/r/branch-scheduler", "spiffe://attnrl/r/operator"}});
  EXPECT_TRUE(absl::IsPermissionDenied(CallAs(FilesOf(authority_, "two"))));
  EXPECT_EQ(calls_, 0);
}

TEST_F(TlsTest, RefusesCallersWithoutACertificateOfTheCa) {
  Serve();
  EXPECT_TRUE(absl::IsUnavailable(Call(Security{}))) << "no TLS at all";
  grpc::SslCredentialsOptions nobody = FilesOf(authority_, "verifier");
  nobody.pem_private_key.clear();
  nobody.pem_cert_chain.clear();
  EXPECT_TRUE(absl::IsUnavailable(CallAs(nobody))) << "no certificate";
  const CertificateAuthority strange;
  strange.Issue("branch-scheduler");
  grpc::SslCredentialsOptions stranger = FilesOf(strange, "branch-scheduler");
  stranger.pem_root_certs = FilesOf(authority_, "verifier").pem_root_certs;
  EXPECT_TRUE(absl::IsUnavailable(CallAs(stranger))) << "of another CA";
  authority_.Issue("old",
                   {.uris = {"spiffe://attnrl/r/branch-scheduler"}, .valid_for = absl::Hours(-1)});
  EXPECT_TRUE(absl::IsUnavailable(CallAs(FilesOf(authority_, "old")))) << "expired";
  EXPECT_EQ(calls_, 0);
  authority_.Issue("new", {.uris = {"spiffe://attnrl/r/branch-scheduler"}});
  EXPECT_EQ(CallAs(FilesOf(authority_, "new")), absl::OkStatus());
}

TEST_F(TlsTest, RefusesAServerThatIsNotTheOneCalled) {
  const Security caller = authority_.Issue("branch-scheduler");
  const auto refused = [&](const CertificateText& text) {
    Serve({.address = "localhost:0", .security = authority_.Issue("server", text)});
    const absl::Status status = Call(caller);
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  };
  refused({.uris = {"spiffe://attnrl/r/rollout-worker"}});
  refused({.uris = {"spiffe://attnrl/r/verifier"}, .dns_names = {"elsewhere"}});
  const CertificateAuthority strange;
  Serve({.address = "localhost:0", .security = strange.Issue("verifier")});
  EXPECT_TRUE(absl::IsUnavailable(Call(caller)));
  EXPECT_EQ(calls_, 0);
}

TEST_F(TlsTest, AUnixSocketOfTheSameProcessHasNoTls) {
  const SocketFolder folder;
  Serve({.address = folder.Address("s.sock"), .security = authority_.Issue("verifier")});
  EXPECT_EQ(Call(Security{}), absl::OkStatus());
  EXPECT_EQ(Call(authority_.Issue("rollout-worker")), absl::OkStatus());
}

TEST_F(TlsTest, TakesRenewedCertificatesWhileItRuns) {
  Serve();
  const Security caller = authority_.Issue("branch-scheduler");
  const auto open = ChannelOf(caller);
  ASSERT_EQ(Call(open), absl::OkStatus());
  const grpc::SslCredentialsOptions old = FilesOf(authority_, "branch-scheduler");
  // A new CA signs both ends anew.
  const CertificateAuthority next;
  next.Issue("verifier");
  next.Issue("branch-scheduler");
  const grpc::SslCredentialsOptions renewed = FilesOf(next, "branch-scheduler");
  ASSERT_TRUE(absl::IsUnavailable(CallAs(renewed)));
  for (const char* file : {"verifier.key", "verifier.crt", "ca.crt"}) {
    std::filesystem::rename(next.folder() + "/" + file, authority_.folder() + "/" + file);
  }
  const absl::Time end = absl::Now() + kDeadline;
  absl::Status status;
  do {
    status = CallAs(renewed);
  } while (!status.ok() && absl::Now() < end);
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_TRUE(absl::IsUnavailable(CallAs(old)));
  EXPECT_EQ(Call(open), absl::OkStatus()) << "a connection that is open goes on";
}

TEST_F(TlsTest, AnswersHealthWithoutTlsOnAPortThatDoesNothingElse) {
  Serve({.address = "localhost:0",
         .security = authority_.Issue("verifier"),
         .service_name = "verifier",
         .health_address = "localhost:0"});
  const auto probe = *Connect(server_->health_address());
  EXPECT_EQ(CheckHealth(probe, "verifier", kDeadline), absl::OkStatus());
  const absl::Status status = Call(probe);
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_EQ(calls_, 0);
  EXPECT_FALSE(CheckHealth(*Connect(server_->address()), "verifier", kDeadline).ok());
  server_->SetServing(false);
  EXPECT_EQ(std::string(CheckHealth(probe, "verifier", kDeadline).message()),
            "verifier is not serving");
}

TEST_F(TlsTest, RefusesFilesThatAreOfNoUseByKeyAndFile) {
  const Security good = authority_.Issue("verifier");
  const auto refusal = [](const Security& security) {
    const auto channel = Connect("localhost:1", {.security = security});
    EXPECT_TRUE(IsInputError(channel.status())) << channel.status();
    return std::string(channel.status().message());
  };
  const auto with = [&](std::string Security::*member, const std::string& file) {
    Security security = good;
    security.*member = file;
    return refusal(security);
  };
  EXPECT_THAT(with(&Security::certificate, "/nowhere.crt"),
              StartsWith("security.certificate: /nowhere.crt can't be read; a PEM file"));
  EXPECT_THAT(with(&Security::key, good.certificate),
              StartsWith("security.key: " + good.certificate + " holds no private key without"));
  EXPECT_THAT(with(&Security::key, authority_.Issue("learner").key),
              HasSubstr("is not the key of " + good.certificate));
  EXPECT_THAT(with(&Security::ca, good.key),
              HasSubstr("security.ca: " + good.key + " holds no certificate"));
  EXPECT_THAT(with(&Security::run_id, "other"),
              HasSubstr("the certificate is of the run r; this is the run other (run.id)"));
  EXPECT_THAT(refusal(authority_.Issue(
                  "old", {.uris = {"spiffe://attnrl/r/verifier"}, .valid_for = absl::Hours(-1)})),
              HasSubstr("old.crt expired at 2"));
}

}  // namespace
}  // namespace attnrl::rpc
