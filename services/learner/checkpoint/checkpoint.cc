// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/json/json_words.h"
#include "common/model/files/safetensors.h"
#include "common/model/files/safetensors_writer.h"
#include "common/observe/log.h"
#include "common/storage/digest.h"
#include "common/storage/files.h"
#include "services/learner/checkpoint/checkpoint_state.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "step-";
constexpr char kUnfinished[] = ".tmp-";
constexpr char kManifest[] = "/trainer/manifest.json";  // SHA-256 of every other file
constexpr char kState[] = "/trainer/state.json";
constexpr int kFormat = 1;
// Files of trainer/ beside the state.
constexpr std::pair<const char*, StateTensor> kTensors[] = {
    {"masters", StateTensor::kMasters},
    {"first_moment", StateTensor::kFirstMoment},
    {"second_moment", StateTensor::kSecondMoment},
};

std::optional<uint32_t> ParseStep(const std::string& name) {
  constexpr size_t kLength = sizeof(kPrefix) - 1;
  if (!name.starts_with(kPrefix)) return std::nullopt;
  uint32_t step = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kLength, end, step);
  if (error != std::errc() || rest != end) return std::nullopt;
  return step;
}

std::string TensorFile(const char* name) { return absl::StrCat("trainer/", name, ".safetensors"); }

// What a checkpoint can't do without, by path in its folder.
std::vector<std::string> NeededFiles() {
  std::vector<std::string> files = {"config.json", "model.safetensors", kState + 1};
  for (const auto& [name, which] : kTensors) files.push_back(TensorFile(name));
  return files;
}

// Memory: a block.
absl::StatusOr<std::string> FileDigest(const std::string& path) {
  storage::Sha256 digest;
  ATTNRL_RETURN_IF_ERROR(
      storage::ReadPieces(path, [&digest](std::string_view piece) { digest.Update(piece); }));
  return digest.HexDigest();
}

// Paths of all files below `folder`, relative to it, sorted.
absl::StatusOr<std::vector<std::string>> FilesBelow(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_regular_file()) files.push_back(fs::relative(it->path(), folder, error).string());
  }
  if (error) return absl::InternalError(absl::StrCat(folder, ": ", error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<nlohmann::json> ReadJson(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, storage::ReadFile(path));
  nlohmann::json value = ParseJson(text).value_or(nullptr);
  if (!value.is_object() || !value.contains("format") || value["format"] != kFormat) {
    return absl::DataLossError(absl::StrCat(path, ": can't be read"));
  }
  return value;
}

absl::StatusOr<model::Tensors> ReadTensors(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(const model::SafetensorsFile file, model::SafetensorsFile::Open(path));
  model::Tensors tensors;
  for (const model::TensorInfo& info : file.tensors()) {
    ATTNRL_ASSIGN_OR_RETURN(tensors[info.name], model::ReadTensor(file, info));
  }
  return tensors;
}

// Writes one flat tensor as it comes; returns the SHA-256 of the file.
absl::StatusOr<std::string> WriteState(const std::string& path, StateTensor which,
                                       Trainer& trainer) {
  std::map<std::string, model::SafetensorsWriter::Entry> layout;
  for (const FlatLayout::Slice& slice : trainer.parameters().layout().slices()) {
    layout[slice.name] = {at::kFloat, slice.shape};
  }
  storage::Sha256 digest;
  ATTNRL_ASSIGN_OR_RETURN(
      model::SafetensorsWriter writer,
      model::SafetensorsWriter::Create(path, layout, {{"format", "pt"}}, &digest));
  ATTNRL_RETURN_IF_ERROR(
      trainer.Copy(which, [&writer](const std::string& name, const at::Tensor& tensor) {
        return writer.Add(name, tensor);
      }));
  ATTNRL_RETURN_IF_ERROR(writer.Finish());
  return digest.HexDigest();
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointStore>> CheckpointStore::Open(const std::string& run_dir) {
  auto store = std::unique_ptr<CheckpointStore>(new CheckpointStore(run_dir + "/checkpoints"));
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(store->folder_));
  std::vector<std::string> unfinished;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(store->folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kUnfinished)) unfinished.push_back(entry.path().string());
    if (const auto step = ParseStep(name)) store->steps_.push_back(*step);
  }
  if (error) return absl::InternalError(absl::StrCat(store->folder_, ": ", error.message()));
  for (const std::string& path : unfinished) ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(path));
  std::sort(store->steps_.begin(), store->steps_.end());
  return store;
}

std::string CheckpointStore::Folder(uint32_t step) const {
  return absl::StrCat(folder_, "/", kPrefix, step);
}

std::string CheckpointStore::ModelFile(uint32_t step) const {
  return Folder(step) + "/model.safetensors";
}

absl::Status CheckpointStore::Write(CheckpointInfo info, const std::string& source_dir,
                                    const model::Tensors& published, Trainer& trainer) {
  const uint32_t step = info.step;
  info.counters = trainer.counters();
  if (std::find(steps_.begin(), steps_.end(), step) != steps_.end()) return absl::OkStatus();
  // The name step-N comes last: what a kill leaves under the one before, Open removes.
  const std::string unfinished = absl::StrCat(folder_, "/", kUnfinished, kPrefix, step);
  const absl::StatusOr<std::string> model_digest =
      model::WriteModelFolder(unfinished, source_dir, published);
  absl::Status written = model_digest.status();
  if (written.ok())
    written = Fill(unfinished, info, {{"model.safetensors", *model_digest}}, trainer);
  if (written.ok()) written = storage::RenameDurably(unfinished, Folder(step));
  if (!written.ok()) {
    (void)storage::RemoveTree(unfinished);
    return written;
  }
  steps_.push_back(step);
  std::sort(steps_.begin(), steps_.end());
  return absl::OkStatus();
}

absl::Status CheckpointStore::Fill(const std::string& folder, const CheckpointInfo& info,
                                   std::map<std::string, std::string> digests,
                                   Trainer& trainer) const {
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(folder + "/trainer"));
  for (const auto& [name, which] : kTensors) {
    const std::string file = TensorFile(name);
    ATTNRL_ASSIGN_OR_RETURN(digests[file],
                            WriteState(absl::StrCat(folder, "/", file), which, trainer));
  }
  ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(folder + kState, CheckpointStateJson(info)));
  // Last of all files, since it has the digests of the others.
  nlohmann::ordered_json manifest = {{"format", kFormat}};
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesBelow(folder));
  for (const std::string& file : files) {
    if (!digests.contains(file)) {
      ATTNRL_ASSIGN_OR_RETURN(digests[file], FileDigest(absl::StrCat(folder, "/", file)));
    }
    manifest["files"][file] = digests[file];
  }
  return storage::WriteFileAtomically(folder + kManifest, PrintJson(manifest, 1) + "\n");
}

absl::StatusOr<CheckpointInfo> CheckpointStore::Info(uint32_t step) const {
  const std::string path = Folder(step) + kState;
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, storage::ReadFile(path));
  auto info = ParseCheckpointState(text);
  if (!info.ok()) return Annotate(info.status(), path);
  return info;
}

absl::Status CheckpointStore::Verify(uint32_t step) const {
  const std::string folder = Folder(step);
  ATTNRL_ASSIGN_OR_RETURN(const nlohmann::json manifest, ReadJson(folder + kManifest));
  try {
    const nlohmann::json& files = manifest.at("files");
    // A file that it doesn't list would be loaded unchecked.
    for (const std::string& needed : NeededFiles()) {
      if (files.contains(needed)) continue;
      return absl::DataLossError(absl::StrCat(folder, kManifest, ": does not list ", needed));
    }
    for (const auto& [file, digest] : files.items()) {
      ATTNRL_ASSIGN_OR_RETURN(const std::string found, FileDigest(absl::StrCat(folder, "/", file)));
      if (found != digest.get<std::string>()) {
        return absl::DataLossError(absl::StrCat(folder, "/", file, ": is damaged"));
      }
    }
  } catch (const std::exception& error) {
    return absl::DataLossError(absl::StrCat(folder, kManifest, ": ", JsonWords(error)));
  }
  ATTNRL_ASSIGN_OR_RETURN(const CheckpointInfo info, Info(step));
  if (info.step != step) {
    return absl::DataLossError(absl::StrCat(folder, ": holds step ", info.step));
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckpointInfo> CheckpointStore::FindIntact() {
  if (steps_.empty()) return absl::NotFoundError(absl::StrCat(folder_, ": no checkpoint"));
  while (!steps_.empty()) {
    const uint32_t step = steps_.back();
    const absl::Status intact = Verify(step);
    if (intact.ok()) return Info(step);
    // What can't be read now may be readable later: only damage is a reason to start further back.
    if (!absl::IsDataLoss(intact) && !absl::IsNotFound(intact)) return intact;
    observe::LogWarning("damaged checkpoint set aside",
                        {{"step", step}, {"reason", std::string(intact.message())}});
    // Kept for people to look at, out of the way of the one that training will write anew.
    const std::string aside = absl::StrCat(folder_, "/damaged-", kPrefix, step);
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(aside));
    ATTNRL_RETURN_IF_ERROR(storage::RenameDurably(Folder(step), aside));
    steps_.pop_back();
  }
  return absl::DataLossError(absl::StrCat(
      folder_, ": no checkpoint is intact; put a good copy of one there as ", kPrefix,
      "N (damaged ones were set aside as damaged-", kPrefix, "N), or start another run"));
}

absl::Status CheckpointStore::Restore(const CheckpointInfo& info, Trainer& trainer) const {
  for (const auto& [name, which] : kTensors) {
    const std::string path = absl::StrCat(Folder(info.step), "/", TensorFile(name));
    ATTNRL_ASSIGN_OR_RETURN(const model::Tensors tensors, ReadTensors(path));
    const absl::Status assigned = trainer.Assign(which, tensors);
    if (absl::IsInvalidArgument(assigned)) {
      return absl::DataLossError(absl::StrCat(path, ": holds ", std::string(assigned.message())));
    }
    ATTNRL_RETURN_IF_ERROR(assigned);
  }
  return trainer.Resume(info.counters);
}

std::vector<uint32_t> CheckpointStore::Removable(int64_t kept, uint32_t keep_from) const {
  // One is no fallback: the scheduler keeps the batches since the second newest for it.
  constexpr int64_t kFewest = 2;
  std::vector<uint32_t> removable;
  const size_t last =
      steps_.size() - std::min(steps_.size(), static_cast<size_t>(std::max(kFewest, kept)));
  for (size_t i = 0; i < last; ++i) {
    if (steps_[i] != 0 && steps_[i] < keep_from) removable.push_back(steps_[i]);
  }
  return removable;
}

absl::Status CheckpointStore::Remove(uint32_t step) {
  // A folder named step-N is complete at every moment, so it loses its name first.
  const std::string removed = absl::StrCat(folder_, "/", kUnfinished, "removed-", step);
  ATTNRL_RETURN_IF_ERROR(storage::RenameDurably(Folder(step), removed));
  ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(removed));
  std::erase(steps_, step);
  return absl::OkStatus();
}

}  // namespace attnrl::learner
