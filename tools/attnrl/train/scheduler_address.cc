// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/scheduler_address.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/attnrl/train/run_directory.h"
#include "tools/attnrl/train/services.h"

namespace attnrl::tools {
namespace fs = std::filesystem;

absl::StatusOr<std::unique_ptr<scheduler::Admin>> FindScheduler(const std::string& address_or_run,
                                                                const rpc::Security& security) {
  if (absl::StartsWith(address_or_run, "unix:")) return scheduler::ConnectAdmin(address_or_run);
  if (fs::is_directory(address_or_run)) {
    const std::string folder = SocketFolder(address_or_run);
    if (folder.empty() || !fs::exists(folder)) {
      return InputError(address_or_run, "no run is going on there",
                        "start it with attnrl train --resume, or give a scheduler's address");
    }
    return scheduler::ConnectAdmin(SocketAddress(folder, "scheduler"));
  }
  if (address_or_run.find(':') == std::string::npos) {
    return InputError(
        "--scheduler",
        absl::StrCat("\"", address_or_run, "\" is neither a run directory nor an address"),
        "RUN_DIR, unix:/path or host:port");
  }
  return scheduler::ConnectAdmin(address_or_run, security);
}

}  // namespace attnrl::tools
