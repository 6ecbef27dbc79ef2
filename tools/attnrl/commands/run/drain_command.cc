// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <thread>

#include "common/base/status.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/commands/run/scheduler_flags.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

struct Options {
  SchedulerFlags flags;
  double grace_seconds = 30;
};

// Prints each status until its end: for the time of a drain.
class StatusPrinter {
 public:
  StatusPrinter(scheduler::Admin& admin, const SchedulerFlags& flags)
      : admin_(admin), thread_([&admin, &flags] {
          // Whatever ends it: the drain itself says how that went.
          (void)admin.WatchStatus([&flags](const scheduler::RunStatus& status) {
            flags.Print(status);
            return std::cout.good();
          });
        }) {}
  ~StatusPrinter() {
    admin_.Cancel();
    thread_.join();
  }
  StatusPrinter(const StatusPrinter&) = delete;
  StatusPrinter& operator=(const StatusPrinter&) = delete;

 private:
  scheduler::Admin& admin_;
  std::thread thread_;
};

absl::Status Drain(const Options& options) {
  const SchedulerFlags& flags = options.flags;
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::Admin> admin, flags.Find());
  absl::StatusOr<uint32_t> leases;
  {
    std::unique_ptr<StatusPrinter> printer;
    if (flags.watch) printer = std::make_unique<StatusPrinter>(*admin, flags);
    leases = admin->Drain(absl::Seconds(options.grace_seconds));
  }
  if (!leases.ok()) return flags.Explain(leases.status());
  if (flags.json) {
    std::cout << "{\"returned_leases\":" << *leases << "}" << std::endl;
  } else {
    std::cout << "drained: " << Counted(*leases, "item") << " came back from workers, done or not"
              << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

// `attnrl drain`: no new work is handed out; waits for the work that is out.
void AddDrainCommand(Command& app, Work* run) {
  Command& command =
      app.AddCommand("drain", "Stop handing out work and wait for leased work to finish");
  auto options = std::make_shared<Options>();
  AddSchedulerFlags(command, &options->flags, "Print JSON instead of text",
                    "Print the status after each change until the run has drained");
  command
      .Add("--grace-seconds", &options->grace_seconds,
           "Seconds to wait before leased work is taken back")
      // A call may take ten minutes (common/rpc/handler.h), ten seconds of which are its answer's.
      .BetweenReals(0.0, 590.0);
  command.Footer(
      "`attnrl train` ends when its run has drained, and prints the command that goes on.\n"
      "Example:\n  attnrl drain --scheduler runs/quickstart");
  command.WhenChosen([options, run] { *run = [options] { return Drain(*options); }; });
}

}  // namespace attnrl::tools
