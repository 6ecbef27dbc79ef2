// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/handler.h"
#include "proto/attnrl/v1/branch_scheduler.pb.h"
#include "services/branch_scheduler/rpc/work_streams.h"
#include "services/branch_scheduler/types.h"
#include "services/branch_scheduler/work/worker_session.h"

namespace attnrl::scheduler {

// One worker's stream. At any time it has at most one read and one write under way; gRPC calls
// On... when they are done, from any of its threads. The next read begins once the scheduler has
// taken the message before, so a worker that sends faster is slowed down by its transport. Owns
// itself until gRPC is done with it.
class WorkReactor final : public WorkStreams::Reactor,
                          public std::enable_shared_from_this<WorkReactor> {
 public:
  WorkReactor(WorkStreams* streams, grpc::CallbackServerContext* context);

  // Begins to read, or refuses the stream.
  void Begin(const absl::Status& admitted);
  // Starts the next write, or the end, where none is under way.
  void Write();
  // Hands the message that was read on to the scheduler, the first as its Register, and reads the
  // next; one that finds no room is tried again.
  void HandOn();
  // Ends a stream that has not registered, or that is over and doesn't go, in time. `now` is
  // monotonic.
  void LookAfter(absl::Duration now);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // What came from the worker: registers it, or hands the message on.
  void Take();
  // The message, from its bytes; nullopt while parts of a result are missing.
  absl::StatusOr<std::optional<WorkerMessage>> Parse();
  absl::StatusOr<std::optional<WorkerMessage>> AddPart(const v1::ItemResult& part, size_t bytes);
  // Makes this stream's share of the bytes for parts as large as `needed`.
  absl::Status TakePartBytes(size_t needed);
  absl::Status Register(const WorkerMessage& hello);
  std::shared_ptr<WorkerSession> session();
  // Whatever the worker sends from now on isn't read.
  void StopReading(const absl::Status& status);
  void ReadNext();
  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  WorkStreams& streams_;
  grpc::CallbackServerContext& context_;
  const rpc::ServedCall call_;
  const absl::Duration opened_;  // monotonic, like all times here

  // Of the read that is under way, so of one thread at a time.
  grpc::ByteBuffer incoming_;
  std::optional<ItemResult> parts_;  // of a result that is not complete
  size_t part_bytes_ = 0;
  std::optional<WorkerMessage> unplaced_;
  absl::Duration unplaced_since_;

  absl::Mutex mutex_;
  grpc::ByteBuffer outgoing_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<WorkerSession> session_ ABSL_GUARDED_BY(mutex_);    // null before Register
  std::optional<absl::Duration> part_since_ ABSL_GUARDED_BY(mutex_);  // another has to follow
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;  // gRPC is done with it: no more calls
  std::optional<absl::Duration> over_since_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> status_ ABSL_GUARDED_BY(mutex_);  // with which it ended
};

}  // namespace attnrl::scheduler
