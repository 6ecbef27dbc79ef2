// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/train.h"

#include <filesystem>
#include <iostream>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/clock.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/rpc/channel.h"
#include "common/rpc/health_probe.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/client/admin.h"
#include "tools/attnrl/hint.h"
#include "tools/attnrl/progress.h"
#include "tools/attnrl/train/preflight.h"
#include "tools/attnrl/train/processes/interrupt.h"
#include "tools/attnrl/train/processes/supervisor.h"
#include "tools/attnrl/train/report.h"
#include "tools/attnrl/train/run_directory.h"
#include "tools/attnrl/train/services.h"
#include "tools/attnrl/train/watch.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

constexpr absl::Duration kWorkerGrace = absl::Seconds(10);
// The learner may have to finish a step and write a checkpoint.
constexpr absl::Duration kServiceGrace = absl::Seconds(60);
// After which a health check that isn't answered is asked again.
constexpr absl::Duration kProbeDeadline = absl::Seconds(5);

// The command that goes on with this run.
std::string ResumeCommand(const TrainOptions& options, const std::string& run_directory) {
  std::vector<std::string> words = {"train", "--run-dir", run_directory, "--resume"};
  if (!options.config.empty()) words.insert(words.begin() + 1, {"--config", options.config});
  for (const std::string& set : options.sets) words.insert(words.end(), {"--set", set});
  if (options.workers.has_value()) {
    words.insert(words.end(), {"--workers", absl::StrCat(*options.workers)});
  }
  return Hint(words);
}

absl::StatusOr<config::Config> LoadConfig(const TrainOptions& options) {
  if (options.config.empty() && options.sets.empty()) {
    return InputError("--config", "is missing",
                      "a configuration file, or settings over the defaults with --set");
  }
  std::vector<std::string> sets = options.sets;
  if (options.workers.has_value())
    sets.push_back(absl::StrCat("rollout.workers=", *options.workers));
  return config::Load(options.config, sets, config::Environment());
}

absl::Status CheckResumed(const config::Config& now, const std::string& run_directory) {
  if (const int64_t done = StepsDone(run_directory); now.run.steps < done) {
    return InputError("--resume", absl::StrCat("run.steps is ", now.run.steps),
                      absl::StrCat("at least ", done, ", which are done already"));
  }
  ATTNRL_ASSIGN_OR_RETURN(const config::Config before,
                          config::Load(run_directory + "/config.yaml", {}, {}));
  return config::CheckResume(before, now);
}

// A run that is prepared and owns its directory: starts, watches and ends its children.
class Run {
 public:
  Run(config::Config config, PreflightReport report, RunPaths paths, bool resumed)
      : config_(std::move(config)),
        report_(std::move(report)),
        paths_(std::move(paths)),
        plans_(PlanServices(config_, report_.memory, paths_)),
        resumed_(resumed) {}

  absl::Status Execute() {
    Introduce();
    CountInterrupts();
    ATTNRL_ASSIGN_OR_RETURN(
        const std::unique_ptr<scheduler::Admin> admin,
        scheduler::ConnectAdmin(SocketAddress(paths_.socket_folder, "scheduler")));
    Progress progress(
        {.what = "train", .total = config_.run.steps, .plain_interval = absl::Minutes(1)});
    RunWatch watch(WatchOptions(), supervisor_, *admin, progress, Clock::Real(), InterruptCount);
    watch.SkipOldSteps();
    const size_t old_steps = watch.steps().size();
    const absl::Duration start = Clock::Real().Monotonic();
    absl::Status status = StartServices();
    if (status.ok()) status = watch.Watch();
    if (absl::IsCancelled(status))
      progress.Line("stopping: giving work back; press Ctrl-C again to stop at once");
    const std::string memory = status.ok() ? watch.MemoryInUse() : "";
    StopServices();
    watch.ShowNews();
    drained_ = status.ok() && watch.drained();
    if (status.ok() && !drained_) {
      Conclude({watch.steps().begin() + static_cast<int64_t>(old_steps), watch.steps().end()},
               Clock::Real().Monotonic() - start, memory);
    }
    return status;
  }
  // Execute ended because the run was drained, not because it has finished.
  bool drained() const { return drained_; }

 private:
  void Introduce() const {
    std::cerr << "run     " << paths_.run_directory << "\nmodel   " << report_.model << "\ndata    "
              << report_.data.summary << "\n"
              << absl::StrFormat("%-18s%-52s%8s%14s\n", "service", "what it does", "threads",
                                 "memory about");
    for (const ServicePlan& plan : plans_) {
      std::cerr << absl::StrFormat("%-18s%-52s%8d%14s\n", plan.process.name, plan.does,
                                   plan.threads, FormatBytes(plan.memory_bytes));
    }
    std::cerr << std::flush;
  }

  RunWatch::Options WatchOptions() {
    RunWatch::Options options;
    options.run_directory = paths_.run_directory;
    options.steps = config_.run.steps;
    options.resumed = resumed_;
    options.answered = [this](const std::string& name) {
      const auto probe = probes_.find(name);
      return probe != probes_.end() && probe->second.Answered(kProbeDeadline);
    };
    options.max_response_tokens = config_.rollout.max_response_tokens;
    for (const ServicePlan& plan : plans_) options.names.push_back(plan.process.name);
    return options;
  }

  absl::Status StartServices() {
    for (const ServicePlan& plan : plans_) {
      if (plan.address.empty()) continue;
      ATTNRL_ASSIGN_OR_RETURN(auto channel, rpc::Connect(plan.address));
      probes_.try_emplace(plan.process.name, std::move(channel));
    }
    for (const ServicePlan& plan : plans_) ATTNRL_RETURN_IF_ERROR(supervisor_.Start(plan.process));
    return absl::OkStatus();
  }

  // Workers first: they give their work back to a scheduler that is still there.
  void StopServices() {
    const auto hurry = [] { return InterruptCount() > 1; };
    std::vector<std::string> workers;
    for (const ServicePlan& plan : plans_) {
      if (plan.process.name.rfind("worker-", 0) == 0) workers.push_back(plan.process.name);
    }
    if (!workers.empty()) supervisor_.Stop(workers, kWorkerGrace, hurry);
    supervisor_.Stop({"learner"}, kServiceGrace, hurry);
    supervisor_.Stop({}, kServiceGrace, hurry);
  }

  void Conclude(const std::vector<StepLine>& steps, absl::Duration elapsed,
                const std::string& memory) const {
    std::cerr << FormatSummary(steps, elapsed) << "memory at the end: " << memory << "\n"
              << "the run is in " << paths_.run_directory << ", its last model in "
              << paths_.run_directory << "/checkpoints/step-" << config_.run.steps << "\n";
    const std::string best = steps.empty() ? "" : FormatBest(steps.back());
    if (!best.empty()) std::cerr << "the best checkpoint by its batches is " << best << "\n";
    std::cerr << std::flush;
  }

  const config::Config config_;
  const PreflightReport report_;
  const RunPaths paths_;
  const std::vector<ServicePlan> plans_;
  const bool resumed_;                              // with --resume
  std::map<std::string, rpc::HealthProbe> probes_;  // by the name of the child
  PosixProcesses processes_;
  Supervisor supervisor_{processes_, Clock::Real()};
  bool drained_ = false;
};

// What the user can do after a run that stopped: appended to its message.
absl::Status WithWayOn(const absl::Status& status, const std::string& resume) {
  if (status.ok() || IsInputError(status)) return status;
  if (absl::IsCancelled(status)) {
    return absl::CancelledError(absl::StrCat("interrupted; go on with: ", resume));
  }
  return absl::Status(status.code(), absl::StrCat(std::string(status.message()),
                                                  "; once that is fixed, go on with: ", resume));
}

// What a service refused before anything began leaves nothing behind.
absl::Status RemoveRun(const std::string& run_directory, const std::string& made,
                       const absl::Status& status) {
  const absl::Status removed = RemoveRunDirectory(run_directory, made);
  return removed.ok() ? status
                      : Annotate(status, absl::StrCat("(", std::string(removed.message()), ")"));
}

}  // namespace

absl::Status Train(const TrainOptions& options) {
  ATTNRL_ASSIGN_OR_RETURN(config::Config config, LoadConfig(options));
  config.rollout.threads = ThreadsOfWorker(config, ProcessorLimit());
  RunPaths paths;
  ATTNRL_ASSIGN_OR_RETURN(paths.run_directory, ChooseRunDirectory(options.run_directory,
                                                                  options.config, options.resume));
  if (options.resume) ATTNRL_RETURN_IF_ERROR(CheckResumed(config, paths.run_directory));
  paths.binary_folder = fs::read_symlink("/proc/self/exe").parent_path().string();
  ATTNRL_ASSIGN_OR_RETURN(PreflightReport report,
                          CheckBeforeTraining(config, paths.binary_folder, options.config));
  const std::string resume = ResumeCommand(options, paths.run_directory);
  const std::string made = OutermostMissing(paths.run_directory);
  // From here on the directory is ours.
  ATTNRL_ASSIGN_OR_RETURN([[maybe_unused]] const storage::FileLock lock,
                          TakeRunDirectory(paths.run_directory));
  // Not before: one that goes on may have more steps than are asked for here.
  if (options.resume && HasFinished(paths.run_directory, config.run.steps)) {
    std::cerr << "the run in " << paths.run_directory << " has finished, with "
              << Counted(config.run.steps, "step") << "; for as many again: " << resume
              << " --set run.steps=" << 2 * config.run.steps << std::endl;
    return absl::OkStatus();
  }
  if (auto folder = MakeSocketFolder(paths.run_directory); folder.ok()) {
    paths.socket_folder = *std::move(folder);
  } else {
    return options.resume ? folder.status() : RemoveRun(paths.run_directory, made, folder.status());
  }
  paths.gpus = VisibleGpus(report.gpus);
  if (config.learner.ranks > 1) {
    ATTNRL_ASSIGN_OR_RETURN(paths.rank_port, FreePort());
  }
  ATTNRL_RETURN_IF_ERROR(
      storage::WriteFileAtomically(paths.run_directory + "/config.yaml", config::ToYaml(config)));
  PrintWarnings(config, report, paths.run_directory);
  // Of a start that was killed. For people's graphs alone, so no reason to end here or below.
  (void)ForgetEndpoints(paths.run_directory);
  Run run(config, std::move(report), paths, options.resume);
  const absl::Status status = run.Execute();
  RemoveSocketFolder(paths.run_directory);
  (void)ForgetEndpoints(paths.run_directory);
  if (IsInputError(status) && !options.resume &&
      !fs::exists(paths.run_directory + "/checkpoints")) {
    return RemoveRun(paths.run_directory, made, status);
  }
  if (run.drained()) std::cerr << "the run was drained; go on with: " << resume << std::endl;
  return WithWayOn(status, resume);
}

}  // namespace attnrl::tools
