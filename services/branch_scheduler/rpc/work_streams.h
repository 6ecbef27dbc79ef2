// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/attnrl/v1/branch_scheduler.pb.h"
#include "services/branch_scheduler/scheduler.h"

namespace attnrl::scheduler {

class WorkReactor;

// The Work streams of this process. None has a thread: gRPC's few callback threads bring what
// workers send, and one thread here starts writes and ends what takes too long. Must outlive the
// server; the scheduler must outlive it. Thread-safe.
class WorkStreams {
 public:
  struct Limits {
    // Open at once; a further one is refused with RESOURCE_EXHAUSTED.
    size_t streams = 2048;
    // For Register, the first message.
    absl::Duration register_within = absl::Seconds(10);
    // For the peer to take what a stream that has ended still has to say.
    absl::Duration hang_up_within = absl::Seconds(2);
    // For room in the scheduler's inbox.
    absl::Duration room_within = absl::Seconds(30);
  };
  using Reactor = grpc::ServerBidiReactor<v1::WorkerMessage, v1::SchedulerMessage>;

  WorkStreams(Scheduler* scheduler, const Limits& limits);
  ~WorkStreams();

  // The handler of a new stream.
  Reactor* Open(grpc::CallbackServerContext* context);

 private:
  friend class WorkReactor;
  using Streams = std::set<std::shared_ptr<WorkReactor>>;

  // From the streams; none waits. There is something to write.
  void Wake(const std::shared_ptr<WorkReactor>& stream);
  // Its message found no room in the inbox.
  void Stall(const std::shared_ptr<WorkReactor>& stream);
  void Remove(const std::shared_ptr<WorkReactor>& stream);
  void Run();

  Scheduler& scheduler_;
  const Limits limits_;
  absl::Mutex mutex_;
  Streams open_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<WorkReactor>> woken_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<WorkReactor>> stalled_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace attnrl::scheduler
