// SPDX-License-Identifier: Apache-2.0
// Every role calls every method of the contract over real connections.
#include <gmock/gmock.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/rpc/channel.h"
#include "common/rpc/handler.h"
#include "common/rpc/security/authorize.h"
#include "common/rpc/security/credentials.h"
#include "common/rpc/security/roles.h"
#include "common/rpc/security/testing/certificates.h"
#include "proto/attnrl/v1/branch_scheduler.pb.h"
#include "proto/attnrl/v1/verifier.pb.h"
#include "proto/attnrl/v1/weight_store.pb.h"

namespace attnrl::rpc {
namespace {

// "BranchScheduler/Work", ...: of the contract itself, so that a new method is here at once.
std::vector<std::string> Methods() {
  std::vector<std::string> methods;
  for (const auto* file :
       {v1::StatusRequest::descriptor()->file(), v1::VerifyRequest::descriptor()->file(),
        v1::FetchVersionRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        methods.push_back(absl::StrCat(service->name(), "/", service->method(m)->name()));
      }
    }
  }
  return methods;
}

// Answers any method through the wrapper that all handlers have, and notes which were entered.
class AnyService final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    class Reactor final : public grpc::ServerGenericBidiReactor {
     public:
      void OnDone() override { delete this; }
    };
    const std::string method = context->method().substr(std::string("/attnrl.v1.").size());
    auto* reactor = new Reactor;
    reactor->Finish(HandleStream(context, method, [this] {
      ++entered_;
      return absl::CancelledError("entered");
    }));
    return reactor;
  }
  int entered() const { return entered_; }

 private:
  std::atomic<int> entered_ = 0;
};

grpc::Status Call(grpc::GenericStub& stub, const std::string& method) {
  const auto context = MakeContext(absl::Seconds(60));
  context->set_wait_for_ready(true);
  grpc::ByteBuffer request;
  grpc::ByteBuffer reply;
  absl::Notification done;
  grpc::Status status;
  stub.UnaryCall(context.get(), "/attnrl.v1." + method, grpc::StubOptions(), &request, &reply,
                 [&](grpc::Status ended) {
                   status = std::move(ended);
                   done.Notify();
                 });
  done.WaitForNotification();
  return status;
}

// Written a second time, by hand: who may do what is a decision, not a computation.
const std::map<std::string, std::set<std::string>>& MayCall() {
  static const auto* table = new std::map<std::string, std::set<std::string>>{
      {"rollout-worker", {"BranchScheduler/Work", "WeightStore/Fetch"}},
      {"branch-scheduler", {"Verifier/Verify"}},
      {"verifier", {}},
      {"learner",
       {"BranchScheduler/RegisterLearner", "BranchScheduler/NextBatch",
        "BranchScheduler/CommitBatch"}},
      {"operator",
       {"BranchScheduler/Status", "BranchScheduler/WatchStatus", "BranchScheduler/Pause",
        "BranchScheduler/Resume", "BranchScheduler/Drain", "WeightStore/Fetch"}}};
  return *table;
}

// A server of any method, and a stub of each role.
class AnyServer {
 public:
  AnyServer() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("localhost:0", *TlsServer(authority_.Issue("learner")), &port);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("localhost:", port);
    SetServedRun("r");
  }

  grpc::GenericStub StubOf(const std::string& role) const {
    return grpc::GenericStub(
        *Connect(address_, {.security = authority_.Issue(role), .peer = Role::kLearner}));
  }
  int entered() const { return service_.entered(); }

 private:
  const CertificateAuthority authority_;
  AnyService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

TEST(Access, HasOneRowForEveryMethodOfTheContractAndNoOther) {
  std::vector<std::string> rows;
  for (const AccessRule& rule : AccessRules()) rows.emplace_back(rule.method);
  EXPECT_THAT(rows, ::testing::UnorderedElementsAreArray(Methods()));
}

TEST(Access, OfEveryRoleToEveryMethodIsAsDecided) {
  const AnyServer server;
  for (const auto& [role, allowed] : MayCall()) {
    grpc::GenericStub stub = server.StubOf(role);
    for (const std::string& method : Methods()) {
      const int before = server.entered();
      const grpc::Status status = Call(stub, method);
      const bool may = allowed.contains(method);
      EXPECT_EQ(server.entered() - before, may ? 1 : 0) << role << " " << method;
      EXPECT_EQ(status.error_code(),
                may ? grpc::StatusCode::CANCELLED : grpc::StatusCode::PERMISSION_DENIED)
          << role << " " << method << " " << status.error_message();
    }
  }
}

TEST(Access, ToAMethodThatNobodyDecidedOnIsDenied) {
  const AnyServer server;
  grpc::GenericStub stub = server.StubOf("operator");
  EXPECT_EQ(Call(stub, "BranchScheduler/Forget").error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(server.entered(), 0);
}

}  // namespace
}  // namespace attnrl::rpc
