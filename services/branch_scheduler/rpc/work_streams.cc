// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/work_streams.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "services/branch_scheduler/rpc/work_reactor.h"

namespace attnrl::scheduler {
namespace {

// How often streams are looked after, and how soon one tries again that found no room.
constexpr absl::Duration kLookAfter = absl::Milliseconds(100);
constexpr absl::Duration kRetry = absl::Milliseconds(2);

}  // namespace

WorkStreams::WorkStreams(Scheduler* scheduler, const Limits& limits)
    : scheduler_(*scheduler), limits_(limits), thread_([this] { Run(); }) {}

WorkStreams::~WorkStreams() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

WorkStreams::Reactor* WorkStreams::Open(grpc::CallbackServerContext* context) {
  const auto stream = std::make_shared<WorkReactor>(this, context);
  absl::Status admitted;
  {
    absl::MutexLock lock(&mutex_);
    if (open_.size() >= limits_.streams) {
      admitted = absl::ResourceExhaustedError(
          absl::StrCat(limits_.streams,
                       " work streams are open, as many as a scheduler takes; try again later"));
    }
    open_.insert(stream);
  }
  stream->Begin(admitted);
  return stream.get();
}

void WorkStreams::Wake(const std::shared_ptr<WorkReactor>& stream) {
  absl::MutexLock lock(&mutex_);
  woken_.push_back(stream);
}

void WorkStreams::Arrive(const std::shared_ptr<WorkReactor>& stream) {
  absl::MutexLock lock(&mutex_);
  arrived_.push_back(stream);
}

void WorkStreams::Stall(const std::shared_ptr<WorkReactor>& stream) {
  absl::MutexLock lock(&mutex_);
  stalled_.push_back(stream);
}

void WorkStreams::Remove(const std::shared_ptr<WorkReactor>& stream) {
  absl::MutexLock lock(&mutex_);
  open_.erase(stream);
}

absl::Status WorkStreams::TakePartBytes(size_t bytes) {
  absl::MutexLock lock(&mutex_);
  if (part_bytes_ + bytes > limits_.part_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("results that have come in part take the ", limits_.part_bytes,
                     " bytes that they may take over all streams; send this one again later"));
  }
  part_bytes_ += bytes;
  return absl::OkStatus();
}

void WorkStreams::GivePartBytes(size_t bytes) {
  absl::MutexLock lock(&mutex_);
  part_bytes_ -= bytes;
}

void WorkStreams::Run() {
  absl::Duration looked = Clock::Real().Monotonic();
  for (;;) {
    std::vector<std::shared_ptr<WorkReactor>> woken, arrived, stalled;
    Streams open;
    absl::Duration now;
    {
      absl::MutexLock lock(&mutex_);
      auto something = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return stop_ || !woken_.empty() || !arrived_.empty();
      };
      mutex_.AwaitWithTimeout(absl::Condition(&something), stalled_.empty() ? kLookAfter : kRetry);
      if (stop_) return;
      woken.swap(woken_);
      arrived.swap(arrived_);
      stalled.swap(stalled_);
      now = Clock::Real().Monotonic();
      if (now - looked >= kLookAfter) open = open_;
    }
    for (const auto& stream : woken) stream->Write();
    for (const auto& stream : arrived) stream->HandOn();
    for (const auto& stream : stalled) stream->HandOn();
    if (open.empty()) continue;
    looked = now;
    for (const auto& stream : open) stream->LookAfter(now);
  }
}

}  // namespace attnrl::scheduler
