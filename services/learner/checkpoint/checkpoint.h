// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learner/checkpoint/recent_accuracy.h"
#include "services/learner/train/trainer.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// What a checkpoint says about itself.
struct CheckpointInfo {
  uint32_t step = 0;        // its tensors are W(step)
  std::string digest = {};  // of W(step)
  TrainerCounters counters = {};
  // Of batch step - 1, so that a commit which was lost can be made again.
  scheduler::TrainStatistics statistics = {};
  RecentAccuracy accuracy = {};  // of the batches before `step`
};

// What the checkpoint in `folder` says about itself, unchecked. NOT_FOUND where it says nothing,
// DATA_LOSS where that can't be read.
absl::StatusOr<CheckpointInfo> ReadCheckpointInfo(const std::string& folder);
// Reads its masters, moments and counters, unchecked, into `trainer`, which was made of the model
// that the run started from. Memory besides: one bucket of the gradient (a layer, or the head) and
// one tensor.
absl::StatusOr<CheckpointInfo> RestoreCheckpoint(const std::string& folder, Trainer& trainer);

class CheckpointWriter;

// A version that is durable as a safetensors file.
struct ModelBits {
  std::shared_ptr<const VersionData> version;
  std::string file;
};

// The checkpoints of a run: RUN_DIR/checkpoints/step-N/, each a Hugging Face folder with trainer/
// beside the model's files (services/learner/checkpoint/README.md, "Format"). A folder named step-N
// is complete: it appears by rename. Every file has its SHA-256 in the manifest; a checkpoint that
// differs from it is never loaded. One thread uses it.
class CheckpointStore {
 public:
  // Removes half-written folders of `run_dir`/checkpoints, and reads the accuracies of the others.
  static absl::StatusOr<std::unique_ptr<CheckpointStore>> Open(const std::string& run_dir);
  // Waits for a checkpoint that only has to be written.
  ~CheckpointStore();

  // Complete ones, ascending.
  const std::vector<uint32_t>& steps() const { return steps_; }
  std::string Folder(uint32_t step) const;
  std::string ModelFile(uint32_t step) const;
  // The model of a checkpoint that FindIntact set aside, whether there is one or not.
  std::string SetAsideModelFile(uint32_t step) const;

  // Begins to write step-<info.step> while training goes on: the version as its model, with the
  // configuration and tokenizer of `source_dir`, and the state of `trainer` as it is now (its
  // counters win over info's). Nothing is left behind on failure. Nothing may be under way.
  absl::Status Begin(CheckpointInfo info, const std::string& source_dir, ModelBits bits,
                     Trainer& trainer);
  // What Begin has begun, once it is complete (`wait`: waits for that); nullopt: nothing new. Its
  // error otherwise; RESOURCE_EXHAUSTED names the path when the disk is full.
  absl::StatusOr<std::optional<CheckpointInfo>> TakeComplete(Trainer& trainer, bool wait);

  // ReadCheckpointInfo of one of them.
  absl::StatusOr<CheckpointInfo> Info(uint32_t step) const;
  // The newest one whose every file has its digest, which reads all of them: minutes for a large
  // model. Damaged newer ones are set aside as damaged-step-N and logged. NOT_FOUND: there never
  // was any; NoneIntact where all were set aside, now or at an earlier start.
  absl::StatusOr<CheckpointInfo> FindIntact();
  // InvalidArgument, for a run that should have a checkpoint: says what a person can do about it.
  absl::Status NoneIntact() const;
  // RestoreCheckpoint of an intact one.
  absl::Status Restore(const CheckpointInfo& info, Trainer& trainer) const;

  // Steps that may be removed: all but step 0, the `kept` newest, the `best` most accurate and
  // those from `keep_from` on.
  std::vector<uint32_t> Removable(int64_t kept, int64_t best, uint32_t keep_from) const;
  // The most accurate one; nullopt where none has an accuracy.
  std::optional<scheduler::BestCheckpoint> Best() const;
  absl::Status Remove(uint32_t step);

 private:
  explicit CheckpointStore(std::string folder);

  absl::Status Verify(uint32_t step) const;
  void NoteAccuracy(const CheckpointInfo& info);
  // Those with an accuracy, the most accurate first; of equal ones the newer.
  std::vector<uint32_t> BestFirst() const;

  const std::string folder_;  // RUN_DIR/checkpoints
  bool set_aside_ = false;    // at least one, ever
  std::vector<uint32_t> steps_;
  std::map<uint32_t, RecentAccuracy> accuracies_;  // of those in steps_ that have one
  std::unique_ptr<CheckpointWriter> writer_;       // null: nothing is under way
};

}  // namespace attnrl::learner
