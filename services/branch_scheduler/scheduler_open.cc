// SPDX-License-Identifier: Apache-2.0
// Scheduler: what happens before it serves.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/records/records.h"
#include "services/branch_scheduler/scheduler.h"
#include "services/branch_scheduler/store/run_files.h"

namespace attnrl::scheduler {

absl::Status Scheduler::Open() {
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  ATTNRL_RETURN_IF_ERROR(options_.Validate());
  // The database has a lock of its own, but may lie elsewhere than the records. Of one that others
  // can take over the owner has the records too: one that stands still must not hold them.
  if (options_.store.is_file()) {
    ATTNRL_ASSIGN_OR_RETURN(
        storage::FileLock directory,
        storage::FileLock::AcquireFile(absl::StrCat(options_.run_dir, "/branch-scheduler.lock"),
                                       absl::StrCat("the branch-scheduler of ", options_.run_dir)));
    directory_.emplace(std::move(directory));
    ATTNRL_RETURN_IF_ERROR(
        CheckDatabaseIsThere(options_.store.path, options_.records, options_.run_dir));
  }
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(absl::StrCat(options_.records, "/trees")));
  ATTNRL_ASSIGN_OR_RETURN(store_,
                          parts_.open_store ? parts_.open_store() : OpenStore(options_.store));
  journal_ = std::make_unique<Journal>(options_.records, store_.get());
  ATTNRL_RETURN_IF_ERROR(CheckRecords());
  ATTNRL_ASSIGN_OR_RETURN(
      run_, Run::Open({&options_, parts_.data, parts_.text, store_.get(), parts_.clock}));
  ATTNRL_ASSIGN_OR_RETURN(halt_, LoadHalt(*store_));
  ATTNRL_ASSIGN_OR_RETURN(learner_, LoadLearnerFence(*store_));
  learner_heard_ = clock_.Monotonic();
  // What a kill left of a tree file.
  ATTNRL_RETURN_IF_ERROR(storage::RemoveUnfinished(options_.records + "/trees"));
  for (const char* file : {kMetricsFile, kEventsFile}) {
    std::string warning;
    ATTNRL_RETURN_IF_ERROR(journal_->Reconcile(file, &warning));
    if (!warning.empty()) observe::LogWarning(warning);
  }
  LeaseOptions leases;
  leases.lease = options_.lease;
  leases.item_limit = options_.item_limit;
  leases.stall = 2 * options_.lease;
  leases.epoch = run_->epoch();
  leases.same_numerics = options_.deterministic;
  leases.numerics_id = run_->numerics_id();
  leases_ = std::make_unique<LeaseTable>(leases);
  hand_out_from_ = clock_.Monotonic();
  if (run_->epoch() > 1) {
    expected_ = run_->Workers();
    hand_out_from_ += expected_.empty() ? options_.unknown_grace : options_.adoption_grace;
  }

  GradingQueue::Options grading;
  grading.threads = parts_.threads ? options_.grader_threads : 0;
  grading.attempts = options_.grade_attempts;
  grading.grader = options_.grader;
  grading.grader_timeout = options_.grader_timeout;
  grading_ = std::make_unique<GradingQueue>(grading, parts_.verifier, parts_.text->decode,
                                            parts_.clock, [this](GradedItem graded) {
                                              absl::MutexLock inbox(&inbox_mutex_);
                                              inbox_.grades.push_back(std::move(graded));
                                            });
  WarnIfPaused();
  HandOut();
  observe::Set(observe::kSchedulerStore, {options_.store.is_file() ? "sqlite" : "postgres"}, 1);
  observe::Set(observe::kSchedulerEpoch, {}, run_->epoch());
  observe::LogInfo("run opened", {{"store", options_.store.name()},
                                  {"epoch", run_->epoch()},
                                  {"steps_done", run_->committed()},
                                  {"steps", options_.steps},
                                  {"open_items", leases_->open_items()}});
  return absl::OkStatus();
}

// The database is the one of these records: compared before anything is written.
absl::Status Scheduler::CheckRecords() {
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<Store::CommitRow> commits, store_->Commits());
  const auto committed = static_cast<uint32_t>(commits.size());
  if (!options_.store.is_file()) {
    ATTNRL_ASSIGN_OR_RETURN(const std::optional<std::string> epoch, store_->Get("epoch"));
    ATTNRL_RETURN_IF_ERROR(
        epoch.has_value()
            ? CheckRecordsAreThere(options_.store, options_.records, committed)
            : CheckNoRecordsAreThere(options_.store.name(), options_.records, options_.run_dir));
  }
  ATTNRL_RETURN_IF_ERROR(
      CheckDatabaseIsNotBehind(options_.store.name(), options_.run_dir, committed));
  for (const char* file : {kMetricsFile, kEventsFile}) {
    ATTNRL_RETURN_IF_ERROR(journal_->Check(file));
  }
  return absl::OkStatus();
}

}  // namespace attnrl::scheduler
