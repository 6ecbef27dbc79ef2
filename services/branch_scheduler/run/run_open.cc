// SPDX-License-Identifier: Apache-2.0
// Run: starting, from nothing or from the database, and composing batches.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/observe/notice.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/records/nothing_right.h"
#include "services/branch_scheduler/run/run.h"
#include "services/branch_scheduler/store/payload.h"

namespace attnrl::scheduler {
namespace {

absl::StatusOr<std::optional<uint32_t>> GetNumber(Store& store, const std::string& key) {
  ATTNRL_ASSIGN_OR_RETURN(std::optional<std::string> text, store.Get(key));
  if (!text.has_value()) return std::optional<uint32_t>();
  uint32_t number = 0;
  if (!absl::SimpleAtoi(*text, &number)) {
    return absl::DataLossError(absl::StrCat("the database's ", key, " is no number"));
  }
  return std::optional<uint32_t>(number);
}

absl::Status DamageOf(ItemId item, uint32_t batch, const absl::Status& status) {
  return absl::DataLossError(absl::StrCat("item ", Number(item), " of batch ", batch, ": ",
                                          std::string(status.message())));
}

}  // namespace

Run::Run(const Parts& parts)
    : options_(*parts.options),
      schedule_(parts.options->schedule()),
      data_(*parts.data),
      text_(*parts.text),
      store_(*parts.store),
      clock_(*parts.clock),
      parts_(parts.data->Parts()),
      usual_tokens_(parts.data->problems.size()) {
  for (const DataPart& part : parts_) {
    cursors_.emplace_back(options_.seed, part.size, static_cast<uint32_t>(cursors_.size()));
  }
}

absl::StatusOr<std::unique_ptr<Run>> Run::Open(const Parts& parts) {
  ATTNRL_RETURN_IF_ERROR(parts.options->Validate());
  for (const DataPart& part : parts.data->Parts()) {
    if (part.size > 0) continue;
    return InputError("data.train", "the data set is empty", "at least one problem is needed");
  }
  auto run = std::unique_ptr<Run>(new Run(parts));
  // One transaction: a start that fails or is killed leaves the database as it was.
  ATTNRL_RETURN_IF_ERROR(parts.store->Begin());
  if (absl::Status status = run->Recover(); !status.ok()) {
    parts.store->Rollback();
    return status;
  }
  ATTNRL_RETURN_IF_ERROR(parts.store->Commit());
  return run;
}

absl::Status Run::CheckFingerprint() {
  nlohmann::json mine(options_.fingerprint);
  ATTNRL_ASSIGN_OR_RETURN(std::optional<std::string> stored, store_.Get("fingerprint"));
  if (!stored.has_value()) return store_.Put("fingerprint", PrintJson(mine));
  const nlohmann::json theirs = ParseJson(*stored).value_or(nullptr);
  if (!theirs.is_object()) return absl::DataLossError("the database's fingerprint is damaged");
  std::vector<std::string> differing;
  for (const auto& [key, value] : options_.fingerprint) {
    if (!theirs.contains(key) || theirs[key] != value) differing.push_back(key);
  }
  if (differing.empty()) return absl::OkStatus();
  return InputError(
      options_.store.name(),
      absl::StrCat("holds a run with other settings: ", absl::StrJoin(differing, ", ")),
      "resume with the run's own settings, or use another run directory");
}

// A run of S steps that had ended and now has more starts a segment at its last checkpoint; whether
// it had ended with a checkpoint is known when the learner says what it holds.
absl::Status Run::RecoverSteps() {
  ATTNRL_ASSIGN_OR_RETURN(std::optional<uint32_t> before, GetNumber(store_, "steps"));
  // Kept until the learner decides, so that a process killed before that leaves the question open.
  ATTNRL_ASSIGN_OR_RETURN(std::optional<uint32_t> extended, GetNumber(store_, "extended_from"));
  extension_pending_ = extended.has_value() && *extended == committed_ && committed_ > 0 &&
                       options_.steps > committed_;
  if (before.has_value() && committed_ > 0 && *before == committed_ && options_.steps > *before) {
    extension_pending_ = true;
    ATTNRL_RETURN_IF_ERROR(store_.Put("extended_from", absl::StrCat(committed_)));
  }
  return store_.Put("steps", absl::StrCat(options_.steps));
}

absl::Status Run::Recover() {
  ATTNRL_RETURN_IF_ERROR(CheckFingerprint());
  ATTNRL_ASSIGN_OR_RETURN(std::optional<uint32_t> epoch, GetNumber(store_, "epoch"));
  // Durable before the first lease of this process: no two processes give the same lease number.
  epoch_ = epoch.value_or(0) + 1;
  ATTNRL_RETURN_IF_ERROR(store_.Put("epoch", absl::StrCat(epoch_)));
  ATTNRL_ASSIGN_OR_RETURN(std::optional<std::string> numerics, store_.Get("numerics_id"));
  numerics_id_ = numerics.value_or("");

  ATTNRL_ASSIGN_OR_RETURN(std::vector<Store::CommitRow> commits, store_.Commits());
  for (const Store::CommitRow& row : commits) {
    if (row.batch != committed_) {
      return absl::DataLossError(
          absl::StrCat("the database lacks the commit of batch ", committed_));
    }
    ++committed_;
    empty_in_a_row_ = row.empty ? empty_in_a_row_ + 1 : 0;
    known_.push_back(Known{row.problems, row.valid, row.solved, row.time});
    if (row.train.end > 0) last_train_end_ = row.train.end;
    last_metrics_ = row.metrics;
  }
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<std::string> first,
                          store_.MetricsBefore(kFirstBatches));
  for (const std::string& metrics : first) NoteVerdicts(metrics);
  last_commit_time_ = UnixSeconds(clock_.Now());
  ATTNRL_RETURN_IF_ERROR(RecoverSteps());
  ATTNRL_ASSIGN_OR_RETURN(versions_, store_.Versions());
  ATTNRL_ASSIGN_OR_RETURN(checkpoints_, store_.Checkpoints());
  ATTNRL_ASSIGN_OR_RETURN(segments_, store_.Segments());
  if (segments_.empty()) {
    segments_[0] = 0;
    ATTNRL_RETURN_IF_ERROR(store_.PutSegment(0, 0));
  }
  ATTNRL_ASSIGN_OR_RETURN(std::optional<uint32_t> forgotten, GetNumber(store_, "forgotten_before"));
  forgotten_before_ = forgotten.value_or(0);

  // The last committed batch says where the next one's problems begin, and its size.
  next_batch_ = committed_;
  last_real_size_ = options_.first.batch_problems;
  ATTNRL_ASSIGN_OR_RETURN(std::vector<Store::BatchRow> rows,
                          store_.Batches(committed_ == 0 ? 0 : committed_ - 1));
  for (const Store::BatchRow& row : rows) {
    if (row.batch >= options_.steps && row.batch >= committed_) break;
    // Only there if the run once had more steps; see DecideExtension.
    if (row.batch >= committed_ && extension_pending_) break;
    next_place_ = row.cursor + row.problems;
    last_real_size_ = row.real_size;
    if (row.batch < committed_) continue;
    if (row.batch == 0) begun_ = row.created;
    std::vector<Damaged> damaged;
    ATTNRL_ASSIGN_OR_RETURN(BatchState batch, LoadBatch(row, &damaged));
    if (!damaged.empty()) {
      ATTNRL_RETURN_IF_ERROR(ForgetDamaged(row, damaged));
      ATTNRL_ASSIGN_OR_RETURN(batch, LoadBatch(row, /*damaged=*/nullptr));
    }
    batches_[row.batch] = std::move(batch);
    next_batch_ = row.batch + 1;
  }
  for (auto& [number, batch] : batches_) OpenInitials(batch);
  AdvanceAll();  // decides the branch points that grading continuations needs
  for (auto& [number, batch] : batches_) {
    for (const Problem& problem : batch.problems) {
      for (const Response& response : problem.responses) {
        for (const auto* item : {&response.initial, &response.continuation}) {
          if (!item->has_value()) continue;
          rollout_spans_.push_back((*item)->result.span);
          if (!(*item)->graded()) {
            grade_tasks_.push_back(MakeGradeTask(KeyOfItem((*item)->result.item), problem));
          }
        }
      }
    }
  }
  return Compose();
}

BatchState Run::NewBatch(const Store::BatchRow& row) const {
  BatchState batch;
  batch.number = row.batch;
  batch.base = row.base;
  batch.cursor = row.cursor;
  batch.real_size = row.real_size;
  const StageOptions& stage = options_.At(row.batch);
  batch.max_response_tokens = stage.max_response_tokens;
  batch.problems.resize(row.problems);
  for (uint32_t position = 0; position < row.problems; ++position) {
    Problem& problem = batch.problems[position];
    problem.position = position;
    problem.row = parts_.at(stage.data).first + cursors_.at(stage.data).At(row.cursor + position);
    problem.responses.resize(stage.initial_responses);
  }
  return batch;
}

absl::StatusOr<BatchState> Run::LoadBatch(const Store::BatchRow& row,
                                          std::vector<Damaged>* damaged) const {
  BatchState batch = NewBatch(row);
  ATTNRL_ASSIGN_OR_RETURN(std::vector<Store::ResultRow> results, store_.Results(row.batch));
  for (const Store::ResultRow& stored : results) {
    const ItemKey key = KeyOfItem(stored.item);
    if (key.position >= row.problems || key.response >= options_.At(row.batch).initial_responses) {
      return absl::DataLossError(absl::StrCat("the database has a result for item ",
                                              Number(stored.item), ", which batch ", row.batch,
                                              " doesn't have"));
    }
    SampledItem item;
    item.worker = stored.worker;
    absl::StatusOr<ItemResult> result = DecodePayload(stored.payload);
    if (!result.ok()) {
      if (damaged == nullptr) return DamageOf(stored.item, row.batch, result.status());
      damaged->push_back({stored.item});
      continue;
    }
    item.result = *std::move(result);
    item.result.item = stored.item;
    item.result.lease = stored.lease;
    item.grading = stored.grading;
    if (stored.grades.has_value()) {
      absl::StatusOr<std::vector<Grade>> grades = DecodeGrades(*stored.grades);
      if (!grades.ok()) {
        if (damaged == nullptr) return DamageOf(stored.item, row.batch, grades.status());
        damaged->push_back({stored.item, /*grades_only=*/true});
        continue;
      }
      item.grades = *std::move(grades);
    }
    Problem& problem = batch.problems[key.position];
    if (item.worker.empty()) problem.parked = true;  // a result of nobody, as Park stores it
    Response& response = problem.responses[key.response];
    if (key.kind == ItemKind::kInitial) {
      ++batch.initial_done;
      response.initial = std::move(item);
    } else {
      response.continuation = std::move(item);
    }
  }
  return batch;
}

absl::Status Run::ForgetDamaged(const Store::BatchRow& row, const std::vector<Damaged>& damaged) {
  const pipeline::Place place{.base = row.base, .batch = row.batch};
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<Store::ResultRow> results, store_.Results(row.batch));
  for (const Damaged& each : damaged) {
    const ItemKey key = KeyOfItem(each.item);
    observe::Notify("what is stored of an item is damaged and made again",
                    {{"item", Number(each.item)},
                     {"batch", row.batch},
                     {"what", each.grades_only ? "its grades" : "its result"}});
    if (each.grades_only) {
      ATTNRL_RETURN_IF_ERROR(store_.DeleteGrades(each.item));
    } else {
      ATTNRL_RETURN_IF_ERROR(CheckStillThere(place, each.item));
      ATTNRL_RETURN_IF_ERROR(store_.DeleteResult(each.item));
    }
    if (key.kind == ItemKind::kContinuation) continue;
    // Where its problem branches was decided by it; with the filter, where all of them do.
    for (const Store::ResultRow& result : results) {
      const ItemKey other = KeyOfItem(result.item);
      if (other.kind != ItemKind::kContinuation) continue;
      if (other.position != key.position && !options_.adaptive.filter_solved) continue;
      ATTNRL_RETURN_IF_ERROR(store_.DeleteResult(result.item));
    }
  }
  return absl::OkStatus();
}

// The learner may have removed the weights that sampled initial responses once all of them were
// there. Where it keeps its weights elsewhere, the worker says what it can't get.
absl::Status Run::CheckStillThere(pipeline::Place place, ItemId item) const {
  if (KeyOfItem(item).kind == ItemKind::kContinuation) return absl::OkStatus();
  const uint32_t version = schedule_.InitialVersion(place);
  const auto exists = [&](const std::string& name) {
    std::error_code none;
    return std::filesystem::exists(absl::StrCat(options_.run_dir, "/", name), none);
  };
  if (!exists("checkpoints") || exists(absl::StrCat("checkpoints/step-", version)) ||
      exists(absl::StrCat("weights/", version))) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      options_.store.name(), ": the stored result of item ", Number(item), " of batch ",
      place.batch, " is damaged, and W(", version,
      "), which sampled it, is no longer there; put back an intact ", "copy of the run directory"));
}

uint32_t Run::BaseOf(uint32_t batch) const {
  auto after = segments_.upper_bound(batch);
  return std::prev(after)->second;
}

absl::Status Run::Compose() {
  while (!extension_pending_ && next_batch_ < options_.steps) {
    const std::optional<Version> newest = newest_version();
    const pipeline::Place next{.base = BaseOf(next_batch_), .batch = next_batch_};
    if (!schedule_.MayBegin(next,
                            newest ? std::optional<uint32_t>(newest->number) : std::nullopt)) {
      return absl::OkStatus();
    }
    if (next.batch > 0 && options_.At(next.batch).data != options_.At(next.batch - 1).data) {
      next_place_ = 0;  // other data, from its beginning
    }
    // The row makes size and problems of the batch durable before any of its items is handed out: a
    // restart finds the same batch, whatever has been committed meanwhile.
    Store::BatchRow row{.batch = next.batch, .base = next.base, .cursor = next_place_};
    const std::optional<double> real = NextRealSize(next);
    const uint32_t first_size = options_.At(next.batch).batch_problems;
    row.real_size = real.value_or(first_size);
    row.problems =
        real ? static_cast<uint32_t>(tree::BatchProblems(*real, options_.sizing(next.batch)))
             : first_size;
    row.created = UnixSeconds(clock_.Now());
    ATTNRL_RETURN_IF_ERROR(store_.PutBatch(row));
    if (row.batch == 0) begun_ = row.created;
    BatchState& batch = batches_[row.batch] = NewBatch(row);
    OpenInitials(batch);
    next_place_ += row.problems;
    last_real_size_ = row.real_size;
    ++next_batch_;
  }
  return absl::OkStatus();
}

absl::Status Run::DecideExtension(const BatchRequest& request) {
  extension_pending_ = false;
  ATTNRL_RETURN_IF_ERROR(store_.Put("extended_from", "0"));
  // Batches beyond the old end can only be there if the run once had more steps.
  ATTNRL_RETURN_IF_ERROR(store_.DeleteBatchesFrom(committed_));
  if (request.checkpoint_step != committed_ || request.version.number != committed_) {
    return absl::OkStatus();  // it had not ended with a checkpoint: the old segment goes on
  }
  segments_[committed_] = committed_;
  return store_.PutSegment(committed_, committed_);
}

absl::Status Run::SetNumericsId(const std::string& id) {
  numerics_id_ = id;
  return store_.Put("numerics_id", id);
}

}  // namespace attnrl::scheduler
