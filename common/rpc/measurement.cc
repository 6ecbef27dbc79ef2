// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/measurement.h"

#include <string>
#include <utility>

#include "common/observe/metrics.h"
#include "common/rpc/status.h"

namespace attnrl::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

struct Method {
  std::string service, name;
};

// "Verifier/Verify" or "/attnrl.v1.Verifier/Verify".
Method Parse(std::string_view path) {
  const size_t slash = path.rfind('/');
  std::string_view service = path.substr(0, slash);
  service.remove_prefix(service.find_last_of("/.") + 1);  // npos + 1 is 0
  return {std::string(service), std::string(path.substr(slash + 1))};
}

void MeasureMessage(InterceptorBatchMethods& batch, const Method& method,
                    std::string_view direction) {
  if (!batch.QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) return;
  const grpc::ByteBuffer* message = batch.GetSerializedSendMessage();
  if (message == nullptr) return;
  observe::Observe(observe::kRpcMessageBytes, {method.service, method.name, direction},
                   static_cast<double>(message->Length()));
}

class ClientInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit ClientInterceptor(Method method) : method_(std::move(method)) {}

  void Intercept(InterceptorBatchMethods* batch) override {
    MeasureMessage(*batch, method_, "request");
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_STATUS)) {
      observe::Count(
          observe::kRpcClientRequestsTotal,
          {method_.service, method_.name, CodeName(batch->GetRecvStatus()->error_code())});
    }
    batch->Proceed();
  }

 private:
  const Method method_;
};

class ServerInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit ServerInterceptor(Method method) : method_(std::move(method)) {}

  void Intercept(InterceptorBatchMethods* batch) override {
    MeasureMessage(*batch, method_, "response");
    batch->Proceed();
  }

 private:
  const Method method_;
};

// gRPC takes the interceptors as its own.
class ClientFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* info) override {
    return new ClientInterceptor(Parse(info->method()));
  }
};

class ServerFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new ServerInterceptor(Parse(info->method()));
  }
};

}  // namespace

ClientInterceptors ClientMeasurement() {
  ClientInterceptors interceptors;
  interceptors.push_back(std::make_unique<ClientFactory>());
  return interceptors;
}

ServerInterceptors ServerMeasurement() {
  ServerInterceptors interceptors;
  interceptors.push_back(std::make_unique<ServerFactory>());
  return interceptors;
}

void CountRetry(std::string_view method) {
  const Method parsed = Parse(method);
  observe::Count(observe::kRpcClientRetriesTotal, {parsed.service, parsed.name});
}

}  // namespace attnrl::rpc
