// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/verifier/process/frames.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

// One running `attnrl-grader` and the socket to it. Used by one thread, the one that started it:
// the child dies with that thread. The destructor kills it and collects it, so none is left over.
class GraderProcess {
 public:
  enum class Outcome {
    kFinished,  // every request was answered
    kDied,      // the process ended, or wrote what no grader writes
    kTimedOut,  // it took too long over one request
  };

  // Starts `binary` and waits until it is ready, `patience` at most. NOT_FOUND, UNAVAILABLE with
  // how it ended, or DEADLINE_EXCEEDED; all name the binary.
  static absl::StatusOr<std::unique_ptr<GraderProcess>> Start(const std::string& binary,
                                                              absl::Duration patience);
  ~GraderProcess();
  GraderProcess(const GraderProcess&) = delete;
  GraderProcess& operator=(const GraderProcess&) = delete;

  // Has `requests` graded; `done` gets each result in their order, as soon as it is there, without
  // an id. When the outcome isn't kFinished, the first request without a result is the one that the
  // process was at, and the process must not be used again. One request has taken too long when it
  // has used `timeout` of the process's own processor time, which a busy machine does not use up,
  // or ten times that by the clock.
  Outcome Run(std::span<const GradeRequest* const> requests, absl::Duration timeout,
              const std::function<void(GradeResult)>& done);

  pid_t pid() const { return pid_; }

 private:
  struct Exchange;

  GraderProcess(pid_t pid, int socket) : pid_(pid), socket_(socket) {}
  absl::Status AwaitHello(const std::string& binary, absl::Duration patience);
  bool Send(Exchange& exchange);
  bool Receive(Exchange& exchange);
  absl::Duration ProcessorTime() const;

  const pid_t pid_;
  const int socket_;
  FrameReader reader_;
};

// The file `attnrl-grader` in the folder of the running executable.
std::string GraderBesideExecutable();

}  // namespace attnrl::verifier
