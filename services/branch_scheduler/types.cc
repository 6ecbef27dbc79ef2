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

size_t MemoryOf(const ItemResult& result) {
  const auto of = [](const auto& list) { return list.size() * sizeof(list[0]); };
  size_t bytes = sizeof(result) + of(result.samples);
  for (const SampleResult& sample : result.samples) {
    bytes += of(sample.token_ids) + of(sample.logprobs) + of(sample.entropy) + of(sample.steps) +
             of(sample.fci);
  }
  return bytes;
}

size_t MemoryOf(const WorkerMessage& message) {
  const auto of = [](const auto& list) { return list.size() * sizeof(list[0]); };
  size_t bytes = sizeof(message);
  if (const auto* result = std::get_if<ItemResult>(&message)) {
    bytes += MemoryOf(*result);
  } else if (const auto* renew = std::get_if<Renew>(&message)) {
    bytes += of(renew->leases) + of(renew->tokens);
  } else if (const auto* back = std::get_if<GiveBack>(&message)) {
    bytes += of(back->leases) + back->reason.size();
  }
  return bytes;
}

}  // namespace attnrl::scheduler
