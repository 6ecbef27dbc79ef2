// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {

// Appends the lines that are durable in the store to their files (metrics.jsonl, events.jsonl), so
// that each file has every line exactly once, whatever was killed when. A line exists once its
// transaction is committed; the file follows. The store keeps lines until they are settled: synced
// to the file's disk. Starting cuts a file back to its settled bytes and appends the rest again, so
// a line torn by a kill disappears; bytes that are not the store's go to `file`.aside, and whole
// lines that the store doesn't know are refused. Not thread-safe.
class Journal {
 public:
  Journal(std::string folder, Store* store) : folder_(std::move(folder)), store_(store) {}
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // InputError where the file holds lines that the store doesn't know: it is an older copy, or
  // another run's. Only reads.
  absl::Status Check(const std::string& file) const;
  // Opens `folder`/`file`, created if need be, and brings it up to date. `warning` is set when the
  // file was shorter than it must be: something else cut it.
  absl::Status Reconcile(const std::string& file, std::string* warning);
  // Appends what was committed since. RESOURCE_EXHAUSTED when the disk is full.
  absl::Status Flush();
  // Syncs the files and drops their lines from the store; in a transaction of its own.
  absl::Status Settle();

 private:
  struct File {
    int fd = -1;
    int64_t bytes = 0;
    int64_t last_id = 0;
  };

  std::string PathOf(const std::string& name) const;
  // The first `bytes` stay. `*foreign` is what follows them and isn't, as far as it goes, what the
  // store has for this place.
  absl::Status Compare(const std::string& name, int fd, int64_t* bytes, std::string* foreign) const;
  absl::Status MoveAside(const std::string& name, const std::string& bytes) const;
  absl::Status FlushFile(const std::string& name, File& file);

  const std::string folder_;
  Store* const store_;
  std::map<std::string, File> files_;
};

}  // namespace attnrl::scheduler
