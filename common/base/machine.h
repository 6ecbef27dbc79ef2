// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace attnrl {

// What this process may use: of the machine, or of the container (cgroup v1 or v2) where that is
// less. `root` is prepended to /proc and /sys, for tests. Any thread.

// Bytes of memory; 0 where nothing is known.
int64_t MemoryLimit(const std::string& root = "");
// Bytes that can still be had without swapping or being killed; 0 where nothing is known.
int64_t AvailableMemory(const std::string& root = "");
// Processors, 1 to 1,024, the most threads that a setting may ask for; a quota of 2.5 counts as 2.
int ProcessorLimit(const std::string& root = "");
// `wanted` threads, or where that is 0 one for each processor.
int ThreadsOr(int64_t wanted);

// For the start of a process, before it has threads: memory that is freed stays with the process,
// up to 64 MiB of each of the allocator's arenas, for what is asked for next. By itself glibc gives
// it back as soon as a few messages of a megabyte are free, and the kernel clears it for the next
// ones: a third of the time in which weights are fetched.
void KeepFreedMemory();

// Returns to the system all that is free in the allocator, in the middle of it too; takes some
// milliseconds. For a caller that has freed much and won't ask for as much again. Any thread.
void ReturnFreedMemory();

}  // namespace attnrl
