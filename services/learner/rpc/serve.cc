// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/serve.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/server.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/client/batch_source.h"
#include "services/learner/checkpoint/checkpoint.h"
#include "services/learner/checkpoint/resume_point.h"
#include "services/learner/follower.h"
#include "services/learner/loop.h"
#include "services/learner/metrics.h"
#include "services/learner/options.h"
#include "services/learner/rpc/weight_store_service.h"
#include "services/learner/start_model.h"
#include "services/learner/train/library_error.h"
#include "services/learner/train/numerics.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(2);
// What commit and checkpoint may take beyond the grace of training.
constexpr absl::Duration kCommitGrace = absl::Seconds(2);

// No other process has it: those of the same pod or number on another machine neither.
std::string NameOfThisProcess() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  std::random_device random;
  return absl::StrCat("process ", getpid(), " on ", host, " (",
                      absl::Hex(uint64_t{random()} << 32 | random(), absl::kZeroPad16), ")");
}

// The run directory, whose lock this process holds, on this machine as it was booted: where another
// learner has the same, this one is gone.
std::string PlaceOf(const std::string& run_dir) {
  struct stat info {};
  const auto boot = storage::ReadFile("/proc/sys/kernel/random/boot_id");
  if (!boot.ok() || ::stat(run_dir.c_str(), &info) != 0) return "";
  return absl::StrCat(boot->substr(0, boot->find('\n')), ":", info.st_dev, ":", info.st_ino);
}

absl::Status CheckConfig(const config::Config& config) {
  if (config.learner.address.empty()) {
    return InputError("learner.address", "not set", "unix:/path or host:port");
  }
  if (config.scheduler.address.empty()) {
    return InputError("scheduler.address", "not set", "unix:/path or host:port");
  }
  return absl::OkStatus();
}

// `group`: null for a learner that trains alone.
absl::StatusOr<std::unique_ptr<Trainer>> MakeTrainer(const config::Config& config,
                                                     const std::string& run_dir, StartModel start,
                                                     RankGroup* group) {
  if (group != nullptr) {
    ATTNRL_ASSIGN_OR_RETURN(start, ShareStartModel(config, *group, std::move(start)));
  }
  ReportDevice(config, start);
  std::unique_ptr<Trainer> trainer;
  try {
    trainer = std::make_unique<Trainer>(start.shape, std::move(start.tensors), start.dtype,
                                        TrainerOptionsOf(config, run_dir), group);
  } catch (const std::exception& error) {
    return LibraryError("making the trainer", error);
  }
  ATTNRL_RETURN_IF_ERROR(RefineMasters(start, *trainer));
  return trainer;
}

// What a rank returns that is told to end before the run has ended. Not OK where there are others:
// all of them have to start again together, and whoever starts ranks (JobSet) takes one that ended
// well for one that has nothing left to do.
absl::Status ToldToEnd(const RankPlace& place) {
  if (place.alone()) return absl::OkStatus();
  return absl::CancelledError("told to end before the run had ended; all ranks start again");
}

// A rank that follows, until `shutdown`. After the end of the run it waits for another rank 0: one
// that starts again, to serve the weights, needs it.
absl::Status ServeFollower(const config::Config& config, const std::string& run_dir,
                           const RankPlace& place, const rpc::ShutdownSignal& shutdown) {
  std::unique_ptr<rpc::Server> health;
  if (!config.observe.health_address.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(
        health, rpc::Server::Start(
                    {.address = config.observe.health_address, .service_name = "learner"}, {}));
    health->SetServing(true);
  }
  bool ended = false;
  while (true) {
    const absl::Status status =
        Follow(config, run_dir, place, [&shutdown] { return shutdown.requested(); });
    if (status.ok()) observe::LogInfo("the run has ended");
    ended = ended || status.ok();
    if (shutdown.requested()) {
      observe::LogInfo("stopped", {{"status", status}});
      return ended ? absl::OkStatus() : ToldToEnd(place);
    }
    if (!status.ok() && !(ended && absl::IsDeadlineExceeded(status))) return status;
  }
}

// LibTorch throws where there is no memory for a model.
absl::Status Starting(const std::function<absl::Status()>& step) {
  try {
    return step();
  } catch (const std::exception& error) {
    return LibraryError("starting", error);
  }
}

// Runs the loop in a thread of its own until it ends or `shutdown` comes.
absl::Status RunUntil(LearnerLoop& loop, scheduler::BatchSource& batches, const RankPlace& place,
                      const rpc::ShutdownSignal& shutdown) {
  absl::Notification ended;
  absl::Status status;
  std::thread thread([&] {
    try {
      status = loop.Run();
    } catch (const std::exception& error) {  // no memory for a copy of the weights
      status = LibraryError("training loop", error);
    }
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
  if (!status.ok()) return status;
  if (!loop.finished()) {
    observe::LogInfo("stopped");
    return ToldToEnd(place);
  }
  observe::LogInfo("the run has ended; still serving weights");
  shutdown.Wait();
  return absl::OkStatus();
}

}  // namespace

absl::Status Serve(const config::Config& config, const service::Flags& flags,
                   const rpc::ShutdownSignal& shutdown) {
  ATTNRL_ASSIGN_OR_RETURN(const RankPlace place,
                          ReadRankPlace(config.learner.ranks, config.security.allow_plaintext));
  ATTNRL_RETURN_IF_ERROR(CheckRanks(config, place.size));
  if (config.model.path.empty()) return InputError("model.path", "not set", "a model folder");
  std::optional<storage::FileLock> lock;
  if (place.rank == 0) {
    ATTNRL_RETURN_IF_ERROR(CheckConfig(config));
    // Before anything is touched: opening the checkpoints removes half-written ones.
    ATTNRL_ASSIGN_OR_RETURN(
        lock, storage::FileLock::AcquireFile(absl::StrCat(flags.run_dir, "/learner.lock"),
                                             absl::StrCat("the learner of ", flags.run_dir)));
  }
  FixNumerics(static_cast<int>(config.learner.threads));
  ATTNRL_ASSIGN_OR_RETURN(const auto metrics,
                          observe::MetricsServer::Start(config.observe.metrics_address));
  ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(
      absl::StrCat(flags.run_dir, "/logs/", flags.name, ".metrics"), metrics->address() + "\n"));
  if (place.rank > 0) return ServeFollower(config, flags.run_dir, place, shutdown);
  ATTNRL_ASSIGN_OR_RETURN(const auto checkpoints, CheckpointStore::Open(flags.run_dir));
  ATTNRL_ASSIGN_OR_RETURN(const auto versions, VersionStore::Open(flags.run_dir));
  // Both read whole models, and the others would wait meanwhile: they are met later.
  ATTNRL_ASSIGN_OR_RETURN(const std::optional<CheckpointInfo> resume_point,
                          FindResumePoint(*checkpoints, *versions));
  StartModel start;
  ATTNRL_RETURN_IF_ERROR(Starting([&] {
    auto loaded = LoadStartModel(config, *checkpoints, versions->DigestOf(0));
    // Memory may be there at the next start; only of a full disk a service's end is final.
    if (absl::IsResourceExhausted(loaded.status())) {
      return absl::UnavailableError(loaded.status().message());
    }
    if (loaded.ok()) start = *std::move(loaded);
    return loaded.status();
  }));
  std::unique_ptr<RankGroup> group;
  if (!place.alone()) {
    absl::StatusOr<std::unique_ptr<RankGroup>> joined =
        JoinRun(config, place, [&shutdown] { return shutdown.requested(); });
    if (absl::IsCancelled(joined.status())) return ToldToEnd(place);
    ATTNRL_RETURN_IF_ERROR(joined.status());
    group = *std::move(joined);
    observe::LogInfo("all ranks have joined", {{"ranks", place.size}});
  }
  ATTNRL_ASSIGN_OR_RETURN(const auto trainer,
                          MakeTrainer(config, flags.run_dir, std::move(start), group.get()));
  ATTNRL_ASSIGN_OR_RETURN(const auto batches, scheduler::ConnectBatchSource(
                                                  config.scheduler.address, rpc::SecurityOf(config),
                                                  PlaceOf(flags.run_dir)));
  MetricsObserver observer(flags.run_dir);
  LoopOptions options = LoopOptionsOf(config, flags.run_dir);
  options.name = NameOfThisProcess();
  LearnerLoop loop(std::move(options), *trainer, *checkpoints, *versions, *batches, Clock::Real(),
                   observer);
  ATTNRL_RETURN_IF_ERROR(Starting([&] { return loop.Prepare(resume_point); }));
  WeightStoreService service(*versions,
                             static_cast<uint64_t>(config.learner.send_bytes_per_second));
  ATTNRL_ASSIGN_OR_RETURN(const auto server,
                          rpc::Server::Start({.address = config.learner.address,
                                              .security = rpc::SecurityOf(config),
                                              .service_name = "learner",
                                              .health_address = config.observe.health_address},
                                             {&service}));
  server->SetServing(true);
  observe::LogInfo("serving", {{"address", server->address()},
                               {"metrics", metrics->address()},
                               {"threads", config.learner.threads}});
  const absl::Status status = RunUntil(loop, *batches, place, shutdown);
  server->Shutdown(kGrace);
  // Started again it would only take the run back from the learner that has it now.
  return absl::IsAborted(status) ? absl::InvalidArgumentError(status.message()) : status;
}

}  // namespace attnrl::learner
