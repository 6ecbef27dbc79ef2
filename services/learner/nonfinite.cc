// SPDX-License-Identifier: Apache-2.0
#include "services/learner/nonfinite.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/observe/notice.h"
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
                                   const scheduler::TrainStatistics& statistics,
                                   const TrainerCounters& counters) const {
  if (statistics.nonfinite_steps > 0) Keep(batch, statistics.nonfinite_steps);
  // Also where the last batch has no sample, and the others came before a restart.
  const bool none_ever = batch.last && counters.updates == 0 && counters.nonfinite > 0;
  const bool none_lately =
      statistics.nonfinite_steps > 0 && counters.nonfinite_batches >= most_batches_;
  if (!none_ever && !none_lately) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      none_ever
          ? "no optimizer step of the whole run"
          : absl::StrCat("no optimizer step of the last ", counters.nonfinite_batches, " batches"),
      " had a finite loss and gradient; look at the model's weights and at learner.learning_rate",
      folder_.empty() ? "" : absl::StrCat("; batches to replay are in ", folder_)));
}

void NonfiniteGuard::Keep(const scheduler::TrainingBatch& batch, uint32_t skipped) const {
  if (folder_.empty() || FilesIn(folder_) >= kKept) return;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  const std::string path = absl::StrCat(folder_, "/batch-", batch.batch, ".jsonl");
  // Training goes on without it.
  if (const absl::Status written = WriteTreeSamples(path, batch); !written.ok()) {
    observe::Notify("optimizer steps that were not finite are skipped, and their batch is not kept",
                    {{"steps", skipped}, {"batch", batch.batch}, {"status", written}});
    return;
  }
  observe::Notify("optimizer steps that were not finite are skipped, and their batch is kept",
                  {{"steps", skipped}, {"batch", batch.batch}, {"file", path}});
  if (FilesIn(folder_) >= kKept) {
    observe::Notify("further batches with a step that is not finite are counted, not kept",
                    {{"folder", folder_}, {"kept", kKept}});
  }
}

}  // namespace attnrl::learner
