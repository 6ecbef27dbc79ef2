// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <thread>

#include "common/base/status.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/train/scheduler_address.h"
#include "tools/attnrl/train/status_text.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::string scheduler;
  double grace_seconds = 30;
  bool json = false;
  bool watch = false;
};

// Prints each status until its end: for the time of a drain.
class StatusPrinter {
 public:
  StatusPrinter(scheduler::Admin& admin, bool json)
      : admin_(admin), thread_([&admin, json] {
          // Whatever ends it: the drain itself says how that went.
          (void)admin.WatchStatus([json](const scheduler::RunStatus& status) {
            std::cout << (json ? StatusJson(status) + "\n" : StatusText(status)) << std::flush;
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
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::Admin> admin,
                          FindScheduler(options.scheduler));
  absl::StatusOr<uint32_t> leases;
  {
    std::unique_ptr<StatusPrinter> printer;
    if (options.watch) printer = std::make_unique<StatusPrinter>(*admin, options.json);
    leases = admin->Drain(absl::Seconds(options.grace_seconds));
  }
  ATTNRL_RETURN_IF_ERROR(leases.status());
  if (options.json) {
    std::cout << "{\"returned_leases\":" << *leases << "}" << std::endl;
  } else {
    std::cout << "drained: " << *leases << " leases were returned or taken back" << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

// `attnrl drain`: no new work is handed out; waits for the work that is out.
void AddDrainCommand(Command& app, Work* run) {
  Command& command =
      app.AddCommand("drain", "Stop handing out work and wait for leased work to finish");
  auto options = std::make_shared<Options>();
  command.Add("--scheduler", &options->scheduler, "Run directory, unix:/path or host:port")
      .Required();
  command
      .Add("--grace-seconds", &options->grace_seconds,
           "Seconds to wait before leased work is taken back, at most 590")
      // A call may take ten minutes (common/rpc/handler.h), ten seconds of which are its answer's.
      .BetweenReals(0.0, 590.0);
  command.AddSwitch("--json", &options->json, "Print JSON instead of text");
  command.AddSwitch("--watch", &options->watch,
                    "Print the status after each change until the run has drained");
  command.Footer(
      "`attnrl train` ends when its run has drained, and prints the command that goes on.\n"
      "Example:\n  attnrl drain --scheduler runs/quickstart");
  command.WhenChosen([options, run] { *run = [options] { return Drain(*options); }; });
}

}  // namespace attnrl::tools
