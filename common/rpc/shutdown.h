// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/time/time.h"

namespace attnrl::rpc {

// SIGTERM and SIGINT as something a main thread can wait for. The first asks for an orderly end; a
// second SIGINT or SIGTERM ends the process at once with 130. SIGPIPE is ignored.
//   rpc::ShutdownSignal& shutdown = rpc::ShutdownSignal::Install();
//   while (!shutdown.WaitWithTimeout(absl::Seconds(1))) { ... }
// Thread-safe; any number of waiters.
class ShutdownSignal {
 public:
  // Once, early in main, before other threads start. Later calls return the same object.
  static ShutdownSignal& Install();

  bool requested() const;
  // True once a shutdown is asked for; false after `timeout` without.
  bool WaitWithTimeout(absl::Duration timeout) const;
  void Wait() const { (void)WaitWithTimeout(absl::InfiniteDuration()); }
  // As if a signal had come: when the work itself has ended.
  void Request();

 private:
  ShutdownSignal();
};

}  // namespace attnrl::rpc
