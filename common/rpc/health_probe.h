// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "absl/time/time.h"

namespace attnrl::rpc {

// Whether the process behind a channel lives: any answer of its health service is one, also "not
// serving". Never blocks. One thread.
class HealthProbe {
 public:
  explicit HealthProbe(std::shared_ptr<grpc::Channel> channel);
  // Gives up the question that is open, and waits until gRPC has let go of it.
  ~HealthProbe();
  HealthProbe(const HealthProbe&) = delete;
  HealthProbe& operator=(const HealthProbe&) = delete;

  // True where an answer has come since the last call. Asks again where no question is open; one
  // that is not answered within `deadline` is given up.
  bool Answered(absl::Duration deadline);

 private:
  struct Question;
  const std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Question> question_;  // the last one; null before the first
};

}  // namespace attnrl::rpc
