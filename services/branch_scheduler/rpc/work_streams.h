// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/scheduler.h"

namespace attnrl::scheduler {

class WorkReactor;

// The Work streams of this process. None has a thread: gRPC's few callback threads bring what
// workers send, and one thread here registers workers, starts writes and ends what takes too long.
// Must outlive the server; the scheduler must outlive it. Thread-safe.
class WorkStreams {
 public:
  struct Limits {
    // Open at once; a further one is refused with RESOURCE_EXHAUSTED.
    size_t streams = 2048;
    // For Register, the first message.
    absl::Duration register_within = absl::Seconds(10);
    // For the peer to take what a stream that has ended still has to say.
    absl::Duration hang_up_within = absl::Seconds(2);
    // Texts and messages in one message of a worker.
    size_t shape = 65536;
    // Bytes of results that have come in part, over all streams: on the wire or in memory,
    // whichever is more.
    size_t part_bytes = size_t{64} << 20;
    // For room in the scheduler's inbox, and for the next part of a result.
    absl::Duration room_within = absl::Seconds(30);
  };
  // Of bytes, because what comes is looked at before it is parsed.
  using Reactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

  WorkStreams(Scheduler* scheduler, const Limits& limits);
  ~WorkStreams();

  // The handler of a new stream.
  Reactor* Open(grpc::CallbackServerContext* context);

 private:
  friend class WorkReactor;
  using Streams = std::set<std::shared_ptr<WorkReactor>>;

  // From the streams; none waits. There is something to write.
  void Wake(const std::shared_ptr<WorkReactor>& stream);
  // Its Register is to be handed on.
  void Arrive(const std::shared_ptr<WorkReactor>& stream);
  // Its message found no room in the inbox.
  void Stall(const std::shared_ptr<WorkReactor>& stream);
  void Remove(const std::shared_ptr<WorkReactor>& stream);
  // Of the bytes for parts of results. RESOURCE_EXHAUSTED where there are not so many left.
  absl::Status TakePartBytes(size_t bytes);
  void GivePartBytes(size_t bytes);
  void Run();

  Scheduler& scheduler_;
  const Limits limits_;
  absl::Mutex mutex_;
  Streams open_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<WorkReactor>> woken_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<WorkReactor>> arrived_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<WorkReactor>> stalled_ ABSL_GUARDED_BY(mutex_);
  size_t part_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace attnrl::scheduler
