// SPDX-License-Identifier: Apache-2.0
#include "services/learner/nonfinite.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/observe/log.h"
#include "services/learner/train/tree_samples.h"

namespace attnrl::learner {
namespace {

constexpr int kKept = 4;  // batches of a run

int FilesIn(const std::string& folder) {
  std::error_code error;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    static_cast<void>(entry);
    ++files;
  }
  return files;
}

}  // namespace

absl::Status NonfiniteGuard::Check(const scheduler::TrainingBatch& batch,
                                   const scheduler::TrainStatistics& statistics, int64_t updates) {
  if (statistics.nonfinite_steps > 0) Keep(batch);
  if (statistics.optimizer_steps > 0) in_a_row_ = 0;
  if (statistics.optimizer_steps > 0 || statistics.nonfinite_steps == 0) return absl::OkStatus();
  ++in_a_row_;
  if (in_a_row_ < most_batches_ && !(batch.last && updates == 0)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("no optimizer step of the last ", in_a_row_,
                   " batches had a finite loss and gradient; look at the model's weights and at "
                   "learner.learning_rate",
                   folder_.empty() ? "" : absl::StrCat("; batches to replay are in ", folder_)));
}

void NonfiniteGuard::Keep(const scheduler::TrainingBatch& batch) const {
  if (folder_.empty() || FilesIn(folder_) >= kKept) return;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  const std::string path = absl::StrCat(folder_, "/batch-", batch.batch, ".jsonl");
  // Training goes on without it.
  if (const absl::Status written = WriteTreeSamples(path, batch); !written.ok()) {
    observe::LogWarning("a batch with a step that is not finite was not kept",
                        {{"batch", batch.batch}, {"status", written}});
    return;
  }
  observe::LogWarning("kept a batch with a step that is not finite",
                      {{"batch", batch.batch}, {"file", path}});
}

}  // namespace attnrl::learner
