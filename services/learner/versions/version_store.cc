// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_store.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/notice.h"
#include "common/storage/files.h"
#include "services/learner/versions/journal.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

constexpr char kJournal[] = "published.json";
constexpr char kUnfinished[] = ".tmp-";

std::optional<uint32_t> ParseNumber(const std::string& text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string FileIn(const std::string& folder, uint32_t number) {
  return absl::StrCat(folder, "/", number, "/model.safetensors");
}

}  // namespace

absl::StatusOr<std::unique_ptr<VersionStore>> VersionStore::Open(const std::string& run_dir) {
  auto store = std::unique_ptr<VersionStore>(new VersionStore(run_dir + "/weights"));
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(store->folder_));
  ATTNRL_RETURN_IF_ERROR(store->TakeJournal());
  ATTNRL_RETURN_IF_ERROR(store->ScanFolder());
  return store;
}

absl::Status VersionStore::TakeJournal() {
  const std::string path = absl::StrCat(folder_, "/", kJournal);
  const absl::StatusOr<Journal> journal = ReadJournal(path);
  if (absl::IsNotFound(journal.status())) return absl::OkStatus();
  if (absl::IsDataLoss(journal.status())) {
    // What is durable says its digest itself; only the digests of pruned versions are lost.
    observe::Notify("a damaged file is set aside, and made anew",
                    {{"reason", std::string(journal.status().message())}});
    return storage::RenameDurably(path, absl::StrCat(folder_, "/damaged-", kJournal));
  }
  ATTNRL_RETURN_IF_ERROR(journal.status());
  absl::MutexLock lock(&mutex_);
  published_ = *journal;
  return absl::OkStatus();
}

absl::Status VersionStore::ScanFolder() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    names.push_back(entry.path().filename().string());
  }
  if (error) return absl::InternalError(absl::StrCat(folder_, ": ", error.message()));
  std::vector<uint32_t> numbers;
  for (const std::string& name : names) {
    if (name.starts_with(kUnfinished)) {
      ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(folder_ + "/" + name));
    } else if (const auto number = ParseNumber(name)) {
      numbers.push_back(*number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  absl::MutexLock lock(&mutex_);
  if (published_.empty() && !numbers.empty()) {
    observe::Notify("published.json says nothing of the versions that are there; it is made anew",
                    {{"folder", folder_}, {"versions", numbers.size()}});
  }
  for (uint32_t number : numbers) {
    const std::string file = FileIn(folder_, number);
    const auto data = ReadVersionFile(file);
    const auto known = published_.find(number);
    // Without an entry the process died between making the version durable and announcing it.
    if (data.ok() && (known == published_.end() || known->second == data->version.digest)) {
      ATTNRL_RETURN_IF_ERROR(
          Announce({number, data->version.digest}, {.digest = data->version.digest, .file = file}));
      continue;
    }
    // Only damage is a reason to remove anything; what can't be read now may be readable later.
    if (!data.ok() && !absl::IsDataLoss(data.status()) && !absl::IsNotFound(data.status())) {
      return data.status();
    }
    observe::Notify("damaged weights are removed", {{"version", number}, {"file", file}});
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(absl::StrCat(folder_, "/", number)));
  }
  return absl::OkStatus();
}

absl::Status VersionStore::CheckDigest(const Version& version) const {
  const auto known = published_.find(version.number);
  if (known == published_.end() || known->second == version.digest) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("W(", version.number, ") was published with digest ", known->second,
                   " and can't be published again with digest ", version.digest));
}

absl::Status VersionStore::Announce(const Version& version, Stored stored) {
  // The digest is durable before anybody hears of the version: after a restart the number must
  // still mean the same bits.
  if (published_.emplace(version.number, version.digest).second) {
    const absl::Status written = WriteJournal(absl::StrCat(folder_, "/", kJournal), published_);
    if (!written.ok()) {
      published_.erase(version.number);
      return written;
    }
  }
  stored_.insert_or_assign(version.number, std::move(stored));
  return absl::OkStatus();
}

absl::Status VersionStore::WriteFolder(const VersionData& data) const {
  const uint32_t number = data.version.number;
  const std::string unfinished = absl::StrCat(folder_, "/", kUnfinished, number);
  absl::Status written = storage::EnsureDirectory(unfinished);
  if (written.ok()) written = WriteVersionFile(unfinished + "/model.safetensors", data);
  if (written.ok()) {
    written = storage::RenameDurably(unfinished, absl::StrCat(folder_, "/", number));
  }
  if (!written.ok()) (void)storage::RemoveTree(unfinished);
  return written;
}

absl::Status VersionStore::Publish(std::shared_ptr<const VersionData> data) {
  const Version version = data->version;
  const uint32_t number = version.number;
  {
    absl::MutexLock lock(&mutex_);
    ATTNRL_RETURN_IF_ERROR(CheckDigest(version));
    if (stored_.contains(number)) return absl::OkStatus();
  }
  // Without the lock, because writing takes seconds and readers go on: only the training loop
  // publishes, and the folder has no name before it is whole.
  ATTNRL_RETURN_IF_ERROR(WriteFolder(*data));
  absl::MutexLock lock(&mutex_);
  ATTNRL_RETURN_IF_ERROR(
      Announce(version, {.digest = version.digest, .file = FileIn(folder_, number)}));
  Cache(std::move(data));
  return absl::OkStatus();
}

absl::Status VersionStore::Adopt(const Version& version, const std::string& file) {
  {
    absl::MutexLock lock(&mutex_);
    ATTNRL_RETURN_IF_ERROR(CheckDigest(version));
    ATTNRL_RETURN_IF_ERROR(
        Announce(version, {.digest = version.digest, .file = file, .checkpoint = true}));
  }
  // After the announcement: until then this folder is where the version is read. What a kill leaves
  // of it is adopted at the next start, or removed with its damaged bits.
  return storage::RemoveTree(absl::StrCat(folder_, "/", version.number));
}

std::optional<Version> VersionStore::Newest() const {
  absl::MutexLock lock(&mutex_);
  if (published_.empty()) return std::nullopt;
  const auto& [number, digest] = *published_.rbegin();
  return Version{number, digest};
}

std::optional<std::string> VersionStore::DigestOf(uint32_t number) const {
  absl::MutexLock lock(&mutex_);
  const auto found = published_.find(number);
  if (found == published_.end()) return std::nullopt;
  return found->second;
}

std::string VersionStore::FileOf(uint32_t number) const {
  absl::MutexLock lock(&mutex_);
  const auto found = stored_.find(number);
  return found == stored_.end() ? "" : found->second.file;
}

bool VersionStore::Holds(uint32_t number) const {
  absl::MutexLock lock(&mutex_);
  return stored_.contains(number);
}

absl::StatusOr<VersionStore::Stored> VersionStore::Find(
    const Version& version, std::shared_ptr<const VersionData>* cached) const {
  absl::MutexLock lock(&mutex_);
  const auto found = stored_.find(version.number);
  if (found == stored_.end() ||
      (!version.digest.empty() && version.digest != found->second.digest)) {
    return absl::NotFoundError(
        absl::StrCat("W(", version.number, ") ", version.digest,
                     found == stored_.end() ? " is not kept here" : " has another digest here"));
  }
  for (const auto& data : cache_) {
    if (data->version == Version{version.number, found->second.digest}) *cached = data;
  }
  return found->second;
}

absl::StatusOr<std::shared_ptr<const VersionData>> VersionStore::Read(const Version& version) {
  std::shared_ptr<const VersionData> cached;
  ATTNRL_RETURN_IF_ERROR(Find(version, &cached).status());
  if (cached) return cached;
  // One file at a time: of the workers that ask at once, the first one loads it for all.
  absl::MutexLock loading(&loading_);
  ATTNRL_ASSIGN_OR_RETURN(Stored stored, Find(version, &cached));
  if (cached) return cached;
  absl::StatusOr<VersionData> data = ReadVersionFile(stored.file);
  if (!data.ok()) {
    // A checkpoint may have taken the version over, and its folder away, before the file was open.
    const std::string before = std::move(stored.file);
    ATTNRL_ASSIGN_OR_RETURN(stored, Find(version, &cached));
    if (stored.file != before) data = ReadVersionFile(stored.file);
  }
  ATTNRL_RETURN_IF_ERROR(data.status());
  if (data->version.digest != stored.digest) {
    return absl::DataLossError(absl::StrCat(stored.file, ": has digest ", data->version.digest,
                                            ", was published with ", stored.digest));
  }
  data->version.number = version.number;
  auto read = std::make_shared<const VersionData>(*std::move(data));
  absl::MutexLock lock(&mutex_);
  Cache(read);
  return read;
}

absl::StatusOr<SentVersion> VersionStore::Send(const Version& version, absl::Duration) {
  ATTNRL_ASSIGN_OR_RETURN(std::shared_ptr<const VersionData> data, Read(version));
  return SentVersion{.data = std::move(data)};
}

void VersionStore::MakeRoom() {
  absl::MutexLock lock(&mutex_);
  if (cache_.empty()) return;
  const auto newest = std::max_element(
      cache_.begin(), cache_.end(),
      [](const auto& a, const auto& b) { return a->version.number < b->version.number; });
  cache_ = {*newest};
}

void VersionStore::Cache(std::shared_ptr<const VersionData> data) {
  cache_.push_back(std::move(data));
  if (cache_.size() > kCachedVersions) cache_.pop_front();
}

absl::Status VersionStore::Prune(uint32_t keep_from) {
  std::vector<uint32_t> dropped;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = stored_.begin(); it != stored_.end() && it->first < keep_from;) {
      if (it->second.checkpoint) {
        ++it;
        continue;
      }
      // Unlisted before its folder goes, so that no reader is sent to it; a folder that a kill
      // leaves behind is listed at the next start and pruned again.
      dropped.push_back(it->first);
      it = stored_.erase(it);
    }
  }
  for (uint32_t number : dropped) {
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(absl::StrCat(folder_, "/", number)));
  }
  return absl::OkStatus();
}

void VersionStore::Forget(uint32_t number) {
  absl::MutexLock lock(&mutex_);
  stored_.erase(number);
}

}  // namespace attnrl::learner
