// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/security/security.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// A worker's open stream with the scheduler (rpc Work). The first message sent must be Register,
// the first received is Registered. Send may be called from any thread, Receive from one. At most
// 1,024 received messages wait in memory; a slower reader slows the scheduler down.
//
//   auto stream = connector->Open();                       // UNAVAILABLE: back off, try again
//   stream->Send(Register{...});
//   auto message = stream->Receive(absl::Seconds(1));      // nullopt: nothing came
//   if (!message.ok()) reconnect with Register.held;       // the stream has ended
class WorkStream {
 public:
  virtual ~WorkStream() = default;
  // Hands the message to the transport. UNAVAILABLE (or what the scheduler answered) when the
  // stream has ended; whatever was not acknowledged is sent again on a new stream. OUT_OF_RANGE for
  // a result that is too large for any message: it can't be sent again either.
  virtual absl::Status Send(const WorkerMessage& message) = 0;
  // Says that nothing more will be sent: a worker that leaves holds nothing any more. The scheduler
  // takes what was sent before, hands out again what this worker still has leased, and then ends
  // the stream; that end is the worker's proof. Send fails from now on.
  virtual void Leave() = 0;
  // The next message; nullopt after `timeout` without one. The stream's final status once it has
  // ended: UNAVAILABLE = reconnect; FAILED_PRECONDITION, INVALID_ARGUMENT, PERMISSION_DENIED =
  // refused, don't try again.
  virtual absl::StatusOr<std::optional<SchedulerMessage>> Receive(absl::Duration timeout) = 0;
  // Ends the stream now; a blocked Receive returns. Any thread.
  virtual void Cancel() = 0;
};

class WorkConnector {
 public:
  virtual ~WorkConnector() = default;
  // A new stream. Doesn't wait for the scheduler: an unreachable one shows as UNAVAILABLE from the
  // stream's calls.
  virtual absl::StatusOr<std::unique_ptr<WorkStream>> Open() = 0;
};

// Streams with the scheduler at `address` ("unix:/path" or "host:port").
absl::StatusOr<std::unique_ptr<WorkConnector>> ConnectWork(const std::string& address,
                                                           const rpc::Security& security = {});

}  // namespace attnrl::scheduler
