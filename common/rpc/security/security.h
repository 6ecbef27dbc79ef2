// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/config/config.h"

namespace attnrl::rpc {

// How a process protects its TCP connections: the section `security` and `run.id`. Unix sockets
// need nothing of it.
struct Security {
  // The run that this process belongs to; certificates of other runs are refused.
  std::string run_id = {};
  // PEM files; either all three or none. With them all TCP is mutual TLS, on loopback too.
  std::string certificate = {};
  std::string key = {};
  std::string ca = {};  // "system": what the operating system trusts
  // TCP beyond this machine is refused without TLS, unless this is set.
  bool allow_plaintext = false;
  // How often the files are looked at for a change; whole seconds.
  absl::Duration refresh = absl::Seconds(10);

  bool tls() const { return !certificate.empty(); }
};

inline Security SecurityOf(const config::Config& config) {
  return {.run_id = config.run.id,
          .certificate = config.security.certificate,
          .key = config.security.key,
          .ca = config.security.ca,
          .allow_plaintext = config.security.allow_plaintext};
}

}  // namespace attnrl::rpc
