// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/files/safetensors.h"
#include "common/observe/notice.h"
#include "common/storage/file_writer.h"
#include "common/storage/files.h"
#include "services/learner/checkpoint/checkpoint_files.h"
#include "services/learner/checkpoint/checkpoint_state.h"
#include "services/learner/checkpoint/checkpoint_writer.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "step-";
constexpr char kSetAside[] = "damaged-step-";
constexpr char kUnfinished[] = ".tmp-";

std::optional<uint32_t> ParseStep(const std::string& name) {
  constexpr size_t kLength = sizeof(kPrefix) - 1;
  if (!name.starts_with(kPrefix)) return std::nullopt;
  uint32_t step = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kLength, end, step);
  if (error != std::errc() || rest != end) return std::nullopt;
  return step;
}

// One file of the state, tensor by tensor: whole it is four bytes a parameter.
absl::Status ReadState(const std::string& path, StateTensor which, Trainer& trainer) {
  ATTNRL_ASSIGN_OR_RETURN(const model::SafetensorsFile file, model::SafetensorsFile::Open(path));
  Parameters::Shapes shapes;
  std::map<std::string, model::TensorInfo> infos;
  for (const model::TensorInfo& info : file.tensors()) {
    shapes[info.name] = info.shape;
    infos[info.name] = info;
  }
  const absl::Status assigned = trainer.Assign(which, shapes, [&](const std::string& name) {
    return model::ReadTensor(file, infos.at(name));
  });
  if (!absl::IsInvalidArgument(assigned)) return assigned;
  return absl::DataLossError(absl::StrCat(path, ": holds ", std::string(assigned.message())));
}

// What can't be read now may be readable later; this can't.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

}  // namespace

absl::StatusOr<CheckpointInfo> ReadCheckpointInfo(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kStateJson);
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, storage::ReadFile(path));
  auto info = ParseCheckpointState(text);
  if (!info.ok()) return Annotate(info.status(), path);
  return info;
}

absl::StatusOr<CheckpointInfo> RestoreCheckpoint(const std::string& folder, Trainer& trainer) {
  ATTNRL_ASSIGN_OR_RETURN(const CheckpointInfo info, ReadCheckpointInfo(folder));
  for (const StateTensor which : kStateTensors) {
    const std::string path = absl::StrCat(folder, "/", StateFile(which));
    ATTNRL_RETURN_IF_ERROR(ReadState(path, which, trainer));
  }
  ATTNRL_RETURN_IF_ERROR(trainer.Resume(info.counters));
  return info;
}

CheckpointStore::CheckpointStore(std::string folder) : folder_(std::move(folder)) {}
CheckpointStore::~CheckpointStore() = default;

absl::StatusOr<std::unique_ptr<CheckpointStore>> CheckpointStore::Open(const std::string& run_dir) {
  auto store = std::unique_ptr<CheckpointStore>(new CheckpointStore(run_dir + "/checkpoints"));
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(store->folder_));
  std::vector<std::string> unfinished;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(store->folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kUnfinished)) unfinished.push_back(entry.path().string());
    if (name.starts_with(kSetAside)) store->set_aside_ = true;
    if (const auto step = ParseStep(name)) store->steps_.push_back(*step);
  }
  if (error) return absl::InternalError(absl::StrCat(store->folder_, ": ", error.message()));
  for (const std::string& path : unfinished) ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(path));
  std::sort(store->steps_.begin(), store->steps_.end());
  for (const uint32_t step : store->steps_) {
    const absl::StatusOr<CheckpointInfo> info = store->Info(step);
    if (info.ok()) {
      store->NoteAccuracy(*info);
    } else if (!IsDamage(info.status())) {
      return info.status();  // one of the best may be readable later, and must not go until then
    }
  }
  return store;
}

std::string CheckpointStore::Folder(uint32_t step) const {
  return absl::StrCat(folder_, "/", kPrefix, step);
}

std::string CheckpointStore::ModelFile(uint32_t step) const {
  return absl::StrCat(Folder(step), "/", kModelFile);
}

std::string CheckpointStore::SetAsideModelFile(uint32_t step) const {
  return absl::StrCat(folder_, "/", kSetAside, step, "/", kModelFile);
}

absl::Status CheckpointStore::Begin(CheckpointInfo info, const std::string& source_dir,
                                    ModelBits bits, Trainer& trainer) {
  const uint32_t step = info.step;
  info.counters = trainer.counters();
  if (std::find(steps_.begin(), steps_.end(), step) != steps_.end()) return absl::OkStatus();
  // The name step-N comes last: what a kill leaves under the one before, Open removes.
  const std::string unfinished = absl::StrCat(folder_, "/", kUnfinished, kPrefix, step);
  absl::Status begun = storage::RemoveTree(unfinished);
  if (begun.ok()) begun = storage::EnsureDirectory(unfinished);
  // Now, because the version's own file goes as soon as nobody needs it.
  if (begun.ok()) begun = storage::LinkOrCopy(bits.file, absl::StrCat(unfinished, "/", kModelFile));
  if (!begun.ok()) {
    (void)storage::RemoveTree(unfinished);
    return begun;
  }
  writer_ =
      std::make_unique<CheckpointWriter>(CheckpointWriter::Plan{.unfinished = unfinished,
                                                                .folder = Folder(step),
                                                                .source_dir = source_dir,
                                                                .version = std::move(bits.version),
                                                                .info = std::move(info)},
                                         trainer.parameters().layout());
  return trainer.BeginCopy(writer_.get());
}

absl::StatusOr<std::optional<CheckpointInfo>> CheckpointStore::TakeComplete(Trainer& trainer,
                                                                            bool wait) {
  if (writer_ == nullptr || (!wait && !writer_->done())) return std::nullopt;
  ATTNRL_RETURN_IF_ERROR(trainer.FinishCopy());
  ATTNRL_RETURN_IF_ERROR(writer_->Wait());
  std::optional<CheckpointInfo> info = writer_->info();
  writer_.reset();
  steps_.push_back(info->step);
  std::sort(steps_.begin(), steps_.end());
  NoteAccuracy(*info);
  return info;
}

absl::StatusOr<CheckpointInfo> CheckpointStore::Info(uint32_t step) const {
  return ReadCheckpointInfo(Folder(step));
}

absl::Status CheckpointStore::Verify(uint32_t step) const {
  const std::string folder = Folder(step);
  ATTNRL_RETURN_IF_ERROR(CheckFiles(folder));
  ATTNRL_ASSIGN_OR_RETURN(const CheckpointInfo info, Info(step));
  if (info.step != step) {
    return absl::DataLossError(absl::StrCat(folder, ": holds step ", info.step));
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckpointInfo> CheckpointStore::FindIntact() {
  if (steps_.empty() && !set_aside_) {
    return absl::NotFoundError(absl::StrCat(folder_, ": no checkpoint"));
  }
  while (!steps_.empty()) {
    const uint32_t step = steps_.back();
    const absl::Status intact = Verify(step);
    if (intact.ok()) return Info(step);
    if (!IsDamage(intact)) return intact;  // only damage is a reason to start further back
    observe::Notify("a damaged checkpoint is set aside",
                    {{"step", step}, {"reason", std::string(intact.message())}});
    // Kept for people to look at, out of the way of the one that training will write anew.
    const std::string aside = absl::StrCat(folder_, "/", kSetAside, step);
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(aside));
    ATTNRL_RETURN_IF_ERROR(storage::RenameDurably(Folder(step), aside));
    steps_.pop_back();
    accuracies_.erase(step);
    set_aside_ = true;
  }
  return NoneIntact();
}

absl::Status CheckpointStore::NoneIntact() const {
  return absl::InvalidArgumentError(
      absl::StrCat(folder_, ": no checkpoint is intact; put a good copy of one there as ", kPrefix,
                   "N (damaged ones are set aside as ", kSetAside, "N), or start another run"));
}

absl::Status CheckpointStore::Restore(const CheckpointInfo& info, Trainer& trainer) const {
  return RestoreCheckpoint(Folder(info.step), trainer).status();
}

void CheckpointStore::NoteAccuracy(const CheckpointInfo& info) {
  if (info.accuracy.responses > 0) accuracies_[info.step] = info.accuracy;
}

std::vector<uint32_t> CheckpointStore::BestFirst() const {
  std::vector<uint32_t> best;
  for (const auto& [step, accuracy] : accuracies_) best.insert(best.begin(), step);
  std::stable_sort(best.begin(), best.end(), [this](uint32_t a, uint32_t b) {
    return accuracies_.at(a).Above(accuracies_.at(b));
  });
  return best;
}

std::optional<scheduler::BestCheckpoint> CheckpointStore::Best() const {
  const std::vector<uint32_t> best = BestFirst();
  if (best.empty()) return std::nullopt;
  return scheduler::BestCheckpoint{best[0], accuracies_.at(best[0]).value()};
}

std::vector<uint32_t> CheckpointStore::Removable(int64_t kept, int64_t best,
                                                 uint32_t keep_from) const {
  // One is no fallback: the scheduler has the batches since the second newest at least.
  constexpr int64_t kFewest = 2;
  std::vector<uint32_t> removable;
  const size_t last =
      steps_.size() - std::min(steps_.size(), static_cast<size_t>(std::max(kFewest, kept)));
  for (size_t i = 0; i < last; ++i) {
    if (steps_[i] != 0 && steps_[i] < keep_from) removable.push_back(steps_[i]);
  }
  std::vector<uint32_t> spared = BestFirst();
  spared.resize(std::min(spared.size(), static_cast<size_t>(best)));
  for (const uint32_t step : spared) std::erase(removable, step);
  return removable;
}

absl::Status CheckpointStore::Remove(uint32_t step) {
  // A folder named step-N is complete at every moment, so it loses its name first.
  const std::string removed = absl::StrCat(folder_, "/", kUnfinished, "removed-", step);
  ATTNRL_RETURN_IF_ERROR(storage::RenameDurably(Folder(step), removed));
  ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(removed));
  std::erase(steps_, step);
  accuracies_.erase(step);
  return absl::OkStatus();
}

}  // namespace attnrl::learner
