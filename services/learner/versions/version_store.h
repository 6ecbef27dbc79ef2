// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/version.h"
#include "services/learner/versions/journal.h"
#include "services/learner/versions/version_data.h"
#include "services/learner/versions/version_source.h"

namespace attnrl::learner {

// Versions whose bits a VersionStore keeps in memory: those published or read last.
inline constexpr size_t kCachedVersions = 2;

// The published versions of a run on the learner's volume: RUN_DIR/weights/<N>/ for those that no
// checkpoint holds (services/learner/versions/README.md, "Format"). A version is announced only
// when it is durable. A number, once published, keeps its digest: weights/published.json remembers
// all of them, also those whose bits are pruned; a damaged one is set aside and made anew.
//
// Thread-safe: the training loop publishes and prunes; RPC handlers read. Memory: the bits
// of kCachedVersions, however many workers they are sent to, of one that is being read, and of
// older ones whose sending has not ended.
class VersionStore final : public VersionSource {
 public:
  // Removes half-written folders of `run_dir`/weights and reads what is durable there. A version
  // whose bits don't have their digest is removed and logged; one that can't be read is an error.
  static absl::StatusOr<std::unique_ptr<VersionStore>> Open(const std::string& run_dir);

  // Makes a version durable as weights/<number>, then announces it. FAILED_PRECONDITION where the
  // number was published with another digest; the same digest again restores bits that were lost.
  absl::Status Publish(std::shared_ptr<const VersionData> data);
  // Announces the version that a complete checkpoint holds in `file`, and drops weights/<number>.
  // FAILED_PRECONDITION as above.
  absl::Status Adopt(const Version& version, const std::string& file);

  // The newest one ever published; nullopt before the first.
  std::optional<Version> Newest() const;
  // The digest under which `number` was published; nullopt if it never was.
  std::optional<std::string> DigestOf(uint32_t number) const;

  // The safetensors file that has `number`'s bits; empty where there is none.
  std::string FileOf(uint32_t number) const;

  // Whether `number` can be read; its bits were intact when they were published or adopted, or when
  // this was opened.
  bool Holds(uint32_t number) const;

  // The bits of a version (an empty digest: of that number), checked. NOT_FOUND: never published,
  // or pruned. DATA_LOSS: damaged on disk.
  absl::StatusOr<std::shared_ptr<const VersionData>> Read(const Version& version);
  absl::StatusOr<SentVersion> Send(const Version& version, absl::Duration patience) override;

  // Before another version is made: of those in memory only the newest stays for it.
  void MakeRoom();

  // Forgets the versions below `keep_from` and removes their folders, but for those that a
  // checkpoint holds: the checkpoint's owner calls Forget.
  absl::Status Prune(uint32_t keep_from);
  // The checkpoint that held `number` is about to be removed.
  void Forget(uint32_t number);

 private:
  struct Stored {
    std::string digest;
    std::string file;         // its model.safetensors
    bool checkpoint = false;  // `file` belongs to a checkpoint
  };

  explicit VersionStore(std::string folder) : folder_(std::move(folder)) {}

  absl::Status TakeJournal();
  absl::Status ScanFolder();
  absl::Status WriteFolder(const VersionData& data) const;
  absl::Status CheckDigest(const Version& version) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Announce(const Version& version, Stored stored)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Where a version is, and its bits if they are in memory. NOT_FOUND as Read.
  absl::StatusOr<Stored> Find(const Version& version,
                              std::shared_ptr<const VersionData>* cached) const;
  void Cache(std::shared_ptr<const VersionData> data) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string folder_;                          // RUN_DIR/weights
  absl::Mutex loading_ ABSL_ACQUIRED_BEFORE(mutex_);  // held while a file is read
  mutable absl::Mutex mutex_;
  Journal published_ ABSL_GUARDED_BY(mutex_);  // all ever, as far as it goes back
  std::map<uint32_t, Stored> stored_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<const VersionData>> cache_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::learner
