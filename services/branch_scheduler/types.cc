// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

std::string_view RunStateName(RunState state) {
  switch (state) {
    case RunState::kStarting:
      return "starting";
    case RunState::kRunning:
      return "running";
    case RunState::kPaused:
      return "paused";
    case RunState::kDraining:
      return "draining";
    case RunState::kFinished:
      return "finished";
  }
  return "unknown";
}

}  // namespace attnrl::scheduler
