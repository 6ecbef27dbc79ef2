// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {
namespace {

template <typename List>
size_t BytesOf(const List& list) {
  return list.size() * sizeof(list[0]);
}

}  // namespace

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
  size_t bytes = sizeof(result) + BytesOf(result.samples);
  for (const SampleResult& sample : result.samples) {
    bytes += BytesOf(sample.token_ids) + BytesOf(sample.logprobs) + BytesOf(sample.entropy) +
             BytesOf(sample.steps) + BytesOf(sample.fci);
  }
  return bytes;
}

size_t MemoryOf(const WorkerMessage& message) {
  size_t bytes = sizeof(message);
  if (const auto* result = std::get_if<ItemResult>(&message)) {
    bytes += MemoryOf(*result);
  } else if (const auto* renew = std::get_if<Renew>(&message)) {
    bytes += BytesOf(renew->leases) + BytesOf(renew->tokens);
  } else if (const auto* back = std::get_if<GiveBack>(&message)) {
    bytes += BytesOf(back->leases) + back->reason.size();
  }
  return bytes;
}

size_t MemoryOf(const SchedulerMessage& message) {
  size_t bytes = sizeof(message);
  if (const auto* ack = std::get_if<Ack>(&message)) {
    bytes += ack->reason.size();
  } else if (const auto* cancel = std::get_if<Cancel>(&message)) {
    bytes += BytesOf(cancel->leases);
  } else if (const auto* registered = std::get_if<Registered>(&message)) {
    bytes += BytesOf(registered->adopted);
  }
  return bytes;
}

}  // namespace attnrl::scheduler
