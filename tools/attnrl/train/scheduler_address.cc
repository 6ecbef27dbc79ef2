// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/scheduler_address.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "tools/attnrl/hint.h"
#include "tools/attnrl/train/run_directory.h"
#include "tools/attnrl/train/services.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

constexpr char kAllowed[] = "RUN_DIR, unix:/path or host:port";

// Why nobody can be asked about the run in a directory, and what can be done about that.
absl::Status NotGoingOn(const std::string& directory) {
  if (!HoldsRun(directory)) return InputError(directory, "holds no run", kAllowed);
  const std::string file = directory + "/config.yaml";
  if (!fs::exists(file)) {  // of services that were started by themselves
    return InputError(directory, "the run there isn't going on", "the address of its scheduler");
  }
  ATTNRL_ASSIGN_OR_RETURN(const config::Config config, config::Load(file, {}, {}));
  const std::string done = absl::StrCat(StepsDone(directory), " of ", config.run.steps, " steps");
  if (HasFinished(directory, config.run.steps)) {
    const std::string last = absl::StrCat(config.run.steps - 1);
    const std::string more = absl::StrCat("run.steps=", 2 * config.run.steps);
    return InputError(directory, absl::StrCat("the run there has finished, with ", done),
                      absl::StrCat("look at it with: ", Hint({"show", directory, "--batch", last}),
                                   "; for more: ", ResumeHint(directory, {"--set", more})));
  }
  return InputError(directory, absl::StrCat("the run there isn't going on, with ", done),
                    absl::StrCat("go on with: ", ResumeHint(directory)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<scheduler::Admin>> FindScheduler(const std::string& address_or_run,
                                                                const rpc::Security& security) {
  if (absl::StartsWith(address_or_run, "unix:")) return scheduler::ConnectAdmin(address_or_run);
  if (fs::is_directory(address_or_run)) {
    const std::string folder = SocketFolder(address_or_run);
    if (folder.empty() || !fs::exists(folder)) return NotGoingOn(address_or_run);
    return scheduler::ConnectAdmin(SocketAddress(folder, "scheduler"));
  }
  if (address_or_run.find(':') == std::string::npos) {
    return InputError(
        "--scheduler",
        absl::StrCat("\"", address_or_run, "\" is neither a run directory nor an address"),
        RunsBeside(address_or_run).empty()
            ? kAllowed
            : absl::StrCat(kAllowed, "; ", RunsBeside(address_or_run)));
  }
  return scheduler::ConnectAdmin(address_or_run, security);
}

}  // namespace attnrl::tools
