// SPDX-License-Identifier: Apache-2.0
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <exception>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/build.h"
#include "common/observe/metrics.h"
#include "common/observe/registry.h"

namespace attnrl::observe {
namespace {

constexpr size_t kThreads = 2;

absl::StatusOr<std::string> HostOf(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  // civetweb would take a list with commas.
  if (colon == std::string::npos || colon == 0 || address.find(',') != std::string::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return InputError(absl::StrCat("metrics address ", OneLine(address, 80)), "not an address",
                      "host:port, port 0 takes a free one");
  }
  return address.substr(0, colon);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(const std::string& address) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string host, HostOf(address));
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(address, kThreads);
    const std::vector<int> ports = exposer->GetListeningPorts();
    if (ports.size() != 1) return absl::InternalError(absl::StrCat(address, ": nothing listens"));
    exposer->RegisterCollectable(Readings());
    Set(kBuildInfo, {label_values::kVersion[0], CudaOfBuild()}, 1);
    return std::unique_ptr<MetricsServer>(
        new MetricsServer(std::move(exposer), absl::StrCat(host, ":", ports[0])));
  } catch (const std::exception&) {
    // Of civetweb, which keeps the errno to itself.
    return InputError(absl::StrCat("metrics address ", OneLine(address, 80)),
                      "in use, or not an address of this machine",
                      "a free host:port (observe.metrics_address), port 0 takes a free one");
  }
}

MetricsServer::MetricsServer(std::unique_ptr<prometheus::Exposer> exposer, std::string address)
    : exposer_(std::move(exposer)), address_(std::move(address)) {}

MetricsServer::~MetricsServer() = default;

}  // namespace attnrl::observe
