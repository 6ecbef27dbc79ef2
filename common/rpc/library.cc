// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/library.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>

#include "common/observe/log.h"

namespace attnrl::rpc {
namespace {

void Log(gpr_log_func_args* line) {
  observe::LogDebug("grpc", {{"severity", gpr_log_severity_string(line->severity)},
                             {"text", line->message},
                             {"file", line->file},
                             {"line", line->line}});
}

}  // namespace

void PrepareLibrary() {
  static const bool prepared = [] {
    gpr_set_log_function(Log);
    grpc_init();  // without its grpc_shutdown
    return true;
  }();
  static_cast<void>(prepared);
}

}  // namespace attnrl::rpc
