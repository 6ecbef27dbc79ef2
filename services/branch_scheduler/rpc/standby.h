// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/server.h"

namespace attnrl::scheduler {

// The face of a scheduler whose run another one owns: health says alive and not ready, and every
// call is UNAVAILABLE, naming the owner, so that callers go on looking for it. Gone with the
// object, which leaves the address free. Thread-safe.
class Standby {
 public:
  // The options of the server that is to follow.
  static absl::StatusOr<std::unique_ptr<Standby>> Start(const rpc::ServerOptions& options,
                                                        const std::string& owner);
  ~Standby();
  // Another owner has come; said in the log.
  void SetOwner(const std::string& owner);

 private:
  class Service;
  Standby();

  std::unique_ptr<Service> service_;
  std::unique_ptr<rpc::Server> server_;  // before its service
};

}  // namespace attnrl::scheduler
