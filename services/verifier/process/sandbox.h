// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace attnrl::verifier {

struct SandboxLimits {
  // More than twice what the largest frame takes. One that reaches it dies alone: a container's
  // limit must have room for this much of each grader (k8s/), or the kernel ends all of them.
  uint64_t address_space_bytes = uint64_t{512} << 20;
  // Of the process's whole life; one that reaches it dies and is replaced like any other.
  uint64_t cpu_seconds = uint64_t{24} * 3600;
};

// Permanently gives up all that grading doesn't need; called once by `attnrl-grader` before it
// reads the first byte. Afterwards the process has no descriptors but 0, 1 and 2, opens no files or
// sockets, starts no process, gains no privilege, and dies with its parent; a call of the system
// outside a short list kills it (Linux on x86-64 and aarch64). Builds with a sanitizer keep the
// address space and the system calls unlimited, which it needs.
// Empty on success, otherwise what failed.
std::string EnterSandbox(const SandboxLimits& limits = {});

}  // namespace attnrl::verifier
