// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/rpc/serve.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/server.h"
#include "common/storage/files.h"
#include "services/verifier/process/grader_pool.h"
#include "services/verifier/rpc/verifier_service.h"

namespace attnrl::verifier {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(10);

}  // namespace

absl::Status Serve(const config::Config& config, const service::Flags& flags,
                   const rpc::ShutdownSignal& shutdown) {
  if (config.verifier.address.empty()) {
    return InputError("verifier.address", "not set", "unix:/path or host:port");
  }
  GraderPoolOptions pool_options;
  pool_options.children = static_cast<int>(config.verifier.children);
  pool_options.timeout = absl::Milliseconds(config.verifier.timeout_ms);
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<GraderPool> pool, GraderPool::Start(pool_options));
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<observe::MetricsServer> metrics,
                          observe::MetricsServer::Start(config.observe.metrics_address));
  VerifierService service(
      [&pool](const std::vector<GradeRequest>& requests, const GraderPool::Abandoned& abandoned) {
        return pool->Grade(requests, abandoned);
      });
  rpc::ServerOptions server_options;
  server_options.address = config.verifier.address;
  server_options.security = rpc::SecurityOf(config);
  server_options.service_name = "verifier";
  server_options.health_address = config.observe.health_address;
  server_options.max_request_bytes = static_cast<int>(kMaxMessageBytes);
  server_options.max_connection_age = absl::Minutes(5);
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<rpc::Server> server,
                          rpc::Server::Start(server_options, {&service}));
  if (!flags.run_dir.empty()) {
    ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(
        absl::StrCat(flags.run_dir, "/logs/", flags.name, ".metrics"), metrics->address() + "\n"));
  }
  server->SetServing(true);
  observe::LogInfo("serving", {{"address", server->address()},
                               {"metrics", metrics->address()},
                               {"children", pool_options.children}});
  shutdown.Wait();
  server->Shutdown(kGrace);
  observe::LogInfo("ended", {{"graders_replaced", pool->counters().restarts}});
  return absl::OkStatus();
}

}  // namespace attnrl::verifier
