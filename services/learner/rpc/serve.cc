// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/serve.h"

#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/model/config.h"
#include "common/model/weights.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/server.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/client/batch_source.h"
#include "services/learner/checkpoint.h"
#include "services/learner/loop.h"
#include "services/learner/metrics.h"
#include "services/learner/numerics.h"
#include "services/learner/options.h"
#include "services/learner/rpc/weight_store_service.h"
#include "services/learner/version_file.h"
#include "services/learner/version_store.h"

namespace attnrl::learner {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(2);
// What commit and checkpoint may take beyond the grace of training.
constexpr absl::Duration kCommitGrace = absl::Seconds(2);

absl::Status StartLog(const ServeOptions& options, const config::Config& config) {
  observe::LogOptions log;
  log.service = options.name;
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(options.run_dir + "/logs"));
  log.file = absl::StrCat(options.run_dir, "/logs/", options.name, ".log");
  ATTNRL_ASSIGN_OR_RETURN(log.level, observe::ParseLevel(config.observe.log_level));
  return observe::StartLog(log);
}

absl::Status CheckConfig(const config::Config& config) {
  if (config.learner.address.empty()) {
    return InputError("learner.address", "not set", "unix:/path or host:port");
  }
  if (config.scheduler.address.empty()) {
    return InputError("scheduler.address", "not set", "unix:/path or host:port");
  }
  if (config.model.path.empty()) return InputError("model.path", "not set", "a model folder");
  return absl::OkStatus();
}

// The folder of the model that the run started from: its first checkpoint, or model.path before
// there is one.
absl::StatusOr<std::string> StartFolder(const config::Config& config,
                                        const CheckpointStore& checkpoints) {
  const std::vector<uint32_t>& steps = checkpoints.steps();
  if (steps.empty() || steps.front() != 0) return config.model.path;
  ATTNRL_ASSIGN_OR_RETURN(const CheckpointInfo info, checkpoints.Info(0));
  ATTNRL_ASSIGN_OR_RETURN(const VersionData data, ReadVersionFile(checkpoints.ModelFile(0)));
  if (data.version.digest != info.digest) {
    return absl::DataLossError(absl::StrCat(checkpoints.ModelFile(0), ": is damaged"));
  }
  return checkpoints.Folder(0);
}

absl::StatusOr<std::unique_ptr<Trainer>> MakeTrainer(const config::Config& config,
                                                     const CheckpointStore& checkpoints) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string folder, StartFolder(config, checkpoints));
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig shape, model::LoadModelConfig(folder));
  ATTNRL_ASSIGN_OR_RETURN(const model::DType dtype, ComputeDTypeOf(config, shape.dtype));
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device,
                          model::ParseDevice(config.learner.device, "learner.device"));
  ATTNRL_ASSIGN_OR_RETURN(model::Tensors start, model::LoadTensors(folder, shape, dtype, device));
  // Two maps of the same tensors: the trainer takes the reference's away while it reads the start.
  model::Tensors reference = start;
  return std::make_unique<Trainer>(shape, start, dtype, std::move(reference),
                                   TrainerOptionsOf(config));
}

// Runs the loop in a thread of its own until it ends or `shutdown` comes.
absl::Status RunUntil(LearnerLoop& loop, scheduler::BatchSource& batches,
                      const rpc::ShutdownSignal& shutdown) {
  absl::Notification ended;
  absl::Status status;
  std::thread thread([&] {
    status = loop.Run();
    ended.Notify();
  });
  while (!ended.HasBeenNotified() && !shutdown.WaitWithTimeout(absl::Milliseconds(200))) {
  }
  if (!ended.HasBeenNotified()) {
    loop.Stop();
    if (!ended.WaitForNotificationWithTimeout(LoopOptions().stop_grace + kCommitGrace)) {
      batches.Cancel();
    }
  }
  thread.join();
  if (status.ok()) {
    observe::LogInfo(shutdown.requested() ? "stopped" : "the run has ended; weights stay served");
    shutdown.Wait();
  }
  return status;
}

absl::Status ServeUntil(const ServeOptions& options, const config::Config& config,
                        const rpc::ShutdownSignal& shutdown) {
  ATTNRL_RETURN_IF_ERROR(CheckConfig(config));
  FixNumerics(static_cast<int>(config.learner.threads));
  ATTNRL_ASSIGN_OR_RETURN(const auto metrics,
                          observe::MetricsServer::Start(config.observe.metrics_address));
  ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(
      absl::StrCat(options.run_dir, "/logs/", options.name, ".metrics"),
      metrics->address() + "\n"));
  ATTNRL_ASSIGN_OR_RETURN(const auto checkpoints, CheckpointStore::Open(options.run_dir));
  ATTNRL_ASSIGN_OR_RETURN(const auto versions, VersionStore::Open(options.run_dir));
  ATTNRL_ASSIGN_OR_RETURN(const auto trainer, MakeTrainer(config, *checkpoints));
  ATTNRL_ASSIGN_OR_RETURN(
      const auto batches,
      scheduler::ConnectBatchSource(config.scheduler.address, config.security.allow_plaintext));
  MetricsObserver observer(Clock::Real());
  LearnerLoop loop(LoopOptionsOf(config), *trainer, *checkpoints, *versions, *batches,
                   Clock::Real(), observer);
  ATTNRL_RETURN_IF_ERROR(loop.Prepare());
  WeightStoreService service(*versions);
  ATTNRL_ASSIGN_OR_RETURN(const auto server,
                          rpc::Server::Start({.address = config.learner.address,
                                              .allow_plaintext = config.security.allow_plaintext,
                                              .service_name = "learner"},
                                             {&service}));
  server->SetServing(true);
  observe::LogInfo("serving", {{"address", server->address()},
                               {"metrics", metrics->address()},
                               {"threads", config.learner.threads}});
  const absl::Status status = RunUntil(loop, *batches, shutdown);
  versions->Close();
  server->Shutdown(kGrace);
  return status;
}

}  // namespace

absl::Status Serve(const ServeOptions& options, const rpc::ShutdownSignal& shutdown) {
  ATTNRL_ASSIGN_OR_RETURN(const config::Config config,
                          config::Load(options.config_file, options.sets, config::Environment()));
  ATTNRL_RETURN_IF_ERROR(StartLog(options, config));
  for (const std::string& variable : config.ignored_variables) {
    observe::LogWarning("an environment variable names no key", {{"variable", variable}});
  }
  const absl::Status status = ServeUntil(options, config, shutdown);
  if (!status.ok()) observe::LogError("the learner ends", {{"status", status}});
  observe::StopLog();
  return status;
}

}  // namespace attnrl::learner
