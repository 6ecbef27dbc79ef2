// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/learner/checkpoint/checkpoint.h"
#include "services/learner/checkpoint/checkpoint_files.h"
#include "services/learner/parameters/flat_layout.h"
#include "services/learner/train/trainer.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// Writes one checkpoint in a thread of its own while training goes on: what the trainer hands over
// is copied into a buffer with a bound, and goes from there to disk.
//
// One other thread uses it. Memory: kBufferBytes, or the largest bucket of the trainer's layout
// where that is more; the version.
class CheckpointWriter final : public StateSink {
 public:
  static constexpr int64_t kBufferBytes = int64_t{1} << 30;

  struct Plan {
    std::string unfinished;  // the folder, which has model.safetensors already
    std::string folder;      // its name once it is complete
    std::string source_dir;  // whose configuration and tokenizer it gets
    std::shared_ptr<const VersionData> version;
    CheckpointInfo info;
  };

  CheckpointWriter(Plan plan, FlatLayout layout);
  // Waits until the checkpoint is complete, where all of the state is here; otherwise takes away
  // what there is of it.
  ~CheckpointWriter() override;

  int64_t Room() override;
  // Waits for room. What comes after an error is dropped.
  void Take(StateTensor which, const std::string& name, const at::Tensor& tensor) override;

  const CheckpointInfo& info() const { return plan_.info; }
  // Whether Wait would return at once.
  bool done() const;
  // Once all of the state has been taken: the checkpoint is complete, or the first error, after
  // which nothing of it is left. RESOURCE_EXHAUSTED names the path where the disk is full.
  absl::Status Wait();

 private:
  struct Taken {
    StateTensor which;
    std::string name;
    at::Tensor tensor;
  };

  void Run();
  absl::Status Write();
  // Writes one file of the state as it comes; its SHA-256. INTERNAL: something else came.
  absl::StatusOr<std::string> WriteState(StateTensor which);
  // The tensor taken first; it counts as waiting until Written. CANCELLED: no more will come.
  absl::StatusOr<Taken> Next();
  void Written();

  const Plan plan_;
  const FlatLayout layout_;
  const int64_t limit_;  // bytes that may wait

  mutable absl::Mutex mutex_;
  std::deque<Taken> waiting_ ABSL_GUARDED_BY(mutex_);
  int64_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t missing_ ABSL_GUARDED_BY(mutex_);  // tensors that will still be taken
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace attnrl::learner
