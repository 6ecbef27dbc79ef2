// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/serve.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/model/files/config.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/listener.h"
#include "common/rpc/server.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/assemble.h"
#include "services/branch_scheduler/rpc/branch_scheduler_service.h"
#include "services/branch_scheduler/rpc/standby.h"
#include "services/branch_scheduler/rpc/training_data.h"
#include "services/branch_scheduler/scheduler.h"
#include "services/branch_scheduler/store/store.h"
#include "services/verifier/client/verifier_client.h"

namespace attnrl::scheduler {
namespace {

// After a signal: leases are taken back at once (workers keep their results), streams end by
// themselves within a look-up.
constexpr absl::Duration kGrace = absl::Seconds(4);

absl::Status CheckConfig(const config::Config& config) {
  ATTNRL_RETURN_IF_ERROR(config::CheckComplete(config));
  if (config.scheduler.address.empty()) {
    return InputError("scheduler.address", "not set", "unix:/path or host:port");
  }
  if (config.verifier.address.empty()) {
    return InputError("verifier.address", "not set", "unix:/path or host:port");
  }
  return absl::OkStatus();
}

// Where another process owns the run, stands by until it is this one's turn; CANCELLED after a
// signal.
absl::StatusOr<std::unique_ptr<Store>> OpenInTurn(const StoreLocation& location,
                                                  const rpc::ServerOptions& server,
                                                  const rpc::ShutdownSignal& shutdown) {
  std::unique_ptr<Standby> standby;
  const auto stand_by = [&](const std::string& owner) -> absl::Status {
    if (standby != nullptr) {
      standby->SetOwner(owner);
      return absl::OkStatus();
    }
    observe::Set(observe::kSchedulerStore, {"postgres"}, 1);
    observe::Set(observe::kSchedulerEpoch, {}, 0);
    ATTNRL_ASSIGN_OR_RETURN(standby, Standby::Start(server, owner));
    return absl::OkStatus();
  };
  auto store = OpenStore(
      location, {.stop = [&shutdown] { return shutdown.requested(); }, .standby = stand_by});
  if (standby != nullptr && store.ok()) observe::LogInfo("taking the run over");
  return store;
}

}  // namespace

absl::Status Serve(const config::Config& config, const service::Flags& flags,
                   const rpc::ShutdownSignal& shutdown) {
  ATTNRL_RETURN_IF_ERROR(CheckConfig(config));
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<ModelText> text, ModelText::Load(config));
  ModelFacts model;
  ATTNRL_ASSIGN_OR_RETURN(model.stop_ids, model::LoadEndTokens(config.model.path));
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig model_config,
                          model::LoadModelConfig(config.model.path, /*dtype_is_given=*/true));
  model.vocabulary = model_config.vocab_size;
  const TextTools tools = text->Tools();
  verifier::VerifierClientOptions verifier_options;
  verifier_options.security = rpc::SecurityOf(config);
  ATTNRL_ASSIGN_OR_RETURN(const auto verifier,
                          verifier::ConnectVerifier(config.verifier.address, verifier_options));
  ATTNRL_ASSIGN_OR_RETURN(const auto metrics,
                          observe::MetricsServer::Start(config.observe.metrics_address));
  ATTNRL_ASSIGN_OR_RETURN(TrainingData training,
                          TrainingData::Load(config, [&](const data_set::Question& question) {
                            return text->EncodePrompt(question);
                          }));
  Scheduler::Parts parts;
  ATTNRL_ASSIGN_OR_RETURN(
      parts.options, OptionsOf(config, flags.run_dir, std::move(model), training.first_digest()));
  if (config.data.skip_bad) {
    const absl::Status status = training.LeaveOutUnreadable(
        config.data.grader, *verifier,
        [&shutdown](absl::Duration wait) { return shutdown.WaitWithTimeout(wait); });
    if (!status.ok()) return EndOf(status, shutdown.requested());
  }
  training.AddTo(parts.options.fingerprint);
  const DataSet data = std::move(training).Join();
  parts.data = &data;
  parts.text = &tools;
  parts.verifier = verifier.get();
  parts.clock = &Clock::Real();
  const rpc::ServerOptions server_options = {.address = config.scheduler.address,
                                             .security = rpc::SecurityOf(config),
                                             .service_name = "branch-scheduler",
                                             .health_address = config.observe.health_address};
  parts.open_store = [&, store = parts.options.store] {
    return OpenInTurn(store, server_options, shutdown);
  };
  const auto started = Scheduler::Start(std::move(parts));
  if (!started.ok()) return EndOf(started.status(), shutdown.requested());
  const std::unique_ptr<Scheduler>& scheduler = *started;
  WorkStreams::Limits limits;
  // Of the connections that there can be, some stay for the learner and for people.
  limits.streams = std::min(limits.streams, static_cast<size_t>(rpc::PrepareDescriptors()) * 3 / 4);
  BranchSchedulerService service(scheduler.get(), limits);
  ATTNRL_ASSIGN_OR_RETURN(const auto server, rpc::Server::Start(server_options, {&service}));
  ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(
      absl::StrCat(flags.run_dir, "/logs/", flags.name, ".metrics"), metrics->address() + "\n"));
  server->SetServing(true);
  observe::LogInfo("serving", {{"address", server->address()},
                               {"metrics", metrics->address()},
                               {"problems", data.problems.size()}});
  while (!shutdown.WaitWithTimeout(absl::Milliseconds(200)) && scheduler->failure().ok()) {
  }
  const absl::Status failure = scheduler->failure();
  scheduler->Stop();
  server->Shutdown(kGrace);
  return EndOf(failure, shutdown.requested());
}

absl::Status EndOf(const absl::Status& status, bool asked_to_stop) {
  if (absl::IsCancelled(status) && asked_to_stop) return absl::OkStatus();
  return absl::IsAborted(status) ? absl::InvalidArgumentError(status.message()) : status;
}

}  // namespace attnrl::scheduler
