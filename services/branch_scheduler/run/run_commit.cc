// SPDX-License-Identifier: Apache-2.0
// Run: what the learner says and gets.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "services/branch_scheduler/decide/outcome.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/records/nothing_right.h"
#include "services/branch_scheduler/records/records.h"
#include "services/branch_scheduler/run/run.h"

namespace attnrl::scheduler {
namespace {

std::string Short(const std::string& digest) { return digest.substr(0, 12); }

}  // namespace

std::optional<Version> Run::newest_version() const {
  if (versions_.empty()) return std::nullopt;
  return Version{versions_.rbegin()->first, versions_.rbegin()->second};
}

absl::Status Run::AddVersion(const Version& version) {
  if (version.digest.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("W(", version.number, ") has no digest"));
  }
  auto known = versions_.find(version.number);
  if (known != versions_.end()) {
    if (known->second == version.digest) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("W(", version.number, ") was published with digest ", Short(known->second),
                     ", the learner has ", Short(version.digest)));
  }
  // W(committed_ + 1) may be known before its batch is committed: the learner publishes first, and
  // may be killed in between.
  const uint32_t next = versions_.empty() ? 0 : versions_.rbegin()->first + 1;
  if (version.number != next || version.number > committed_ + 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the learner has published W(", version.number, "), the next one of this run is W(", next,
        ") with ", committed_, " batches committed"));
  }
  ATTNRL_RETURN_IF_ERROR(store_.PutVersion(version));
  versions_[version.number] = version.digest;
  return absl::OkStatus();
}

// Bad input, since a learner that is started again would only ask for it again.
absl::Status Run::Forgotten(uint32_t batch) const {
  return absl::InvalidArgumentError(absl::StrCat(
      "batch ", batch, " is forgotten: a checkpoint of step ", forgotten_before_,
      " or later is needed to go on; put a good copy of one into checkpoints/ as step-N (damaged ",
      "ones are set aside there as damaged-step-N), or start another run"));
}

absl::Status Run::AddCheckpoint(uint32_t step) {
  // A checkpoint ahead of its commit is reported again with the commit, which must come first:
  // results may be forgotten only for batches that are committed.
  if (step > committed_ ||
      std::find(checkpoints_.begin(), checkpoints_.end(), step) != checkpoints_.end()) {
    return absl::OkStatus();
  }
  ATTNRL_RETURN_IF_ERROR(store_.PutCheckpoint(step));
  checkpoints_.insert(std::upper_bound(checkpoints_.begin(), checkpoints_.end(), step), step);
  if (checkpoints_.size() < options_.checkpoints_kept) return absl::OkStatus();
  // Not the newest alone can be replayed from: it may turn out damaged, and so may the next.
  const uint32_t before = checkpoints_[checkpoints_.size() - options_.checkpoints_kept];
  if (before <= forgotten_before_) return absl::OkStatus();
  forgotten_before_ = before;
  ATTNRL_RETURN_IF_ERROR(store_.Put("forgotten_before", absl::StrCat(before)));
  // Of later batches none was sampled by an older version than this one.
  const uint32_t version = schedule_.InitialVersion({.base = BaseOf(before), .batch = before});
  versions_.erase(versions_.begin(), versions_.lower_bound(version));
  ATTNRL_RETURN_IF_ERROR(store_.ForgetRowsBefore(before, version, kFirstBatches));
  return store_.ForgetResultsBefore(before);
}

absl::Status Run::Announce(const BatchRequest& request) {
  if (!request.replay && request.batch != request.version.number) {
    return absl::FailedPreconditionError(
        absl::StrCat("batch ", request.batch, " is trained from W(", request.batch,
                     "), the learner has W(", request.version.number, ")"));
  }
  if (request.replay && request.batch > request.version.number) {
    return absl::FailedPreconditionError(absl::StrCat(
        "batch ", request.batch, " can't be replayed to reach W(", request.version.number, ")"));
  }
  // The version comes first, since all that follows depends on it; the extension is decided before
  // batches are composed, because it decides their segment.
  ATTNRL_RETURN_IF_ERROR(AddVersion(request.version));
  if (extension_pending_) ATTNRL_RETURN_IF_ERROR(DecideExtension(request));
  ATTNRL_RETURN_IF_ERROR(AddCheckpoint(request.checkpoint_step));
  ATTNRL_RETURN_IF_ERROR(Compose());
  AdvanceAll();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TrainingBatch>> Run::Batch(uint32_t number, std::string* reason) {
  if (number >= options_.steps) {
    return absl::OutOfRangeError(
        absl::StrCat("the run ends before batch ", number, ": it has ", options_.steps, " steps"));
  }
  if (number > committed_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "batch ", number, " was asked for before batch ", committed_, " was committed"));
  }
  const pipeline::Place place{.base = BaseOf(number), .batch = number};
  const VersionNumbers versions{.initial = schedule_.InitialVersion(place),
                                .continuation = schedule_.ContinuationVersion(place)};
  if (number < committed_) {
    if (number < forgotten_before_) {
      return Forgotten(number);
    }
    // A replay: the batch is rebuilt from its stored results, which give the same bytes as before.
    ATTNRL_ASSIGN_OR_RETURN(std::vector<Store::BatchRow> rows, store_.Batches(number));
    if (rows.empty() || rows.front().batch != number) {
      return absl::DataLossError(absl::StrCat("the database lacks batch ", number));
    }
    ATTNRL_ASSIGN_OR_RETURN(BatchState batch, LoadBatch(rows.front(), /*damaged=*/nullptr));
    // Advance must open and count nothing here.
    std::vector<Runnable> open = std::move(runnable_);
    const Counters counters = counters_;
    for (Problem& problem : batch.problems) Advance(batch, problem);
    runnable_ = std::move(open);
    counters_ = counters;
    if (!batch.ready()) {
      return absl::DataLossError(absl::StrCat("the database lacks results of batch ", number));
    }
    return std::optional<TrainingBatch>(
        MakeTrainingBatch(options_, data_, batch, JudgeAll(options_, batch), versions));
  }
  BatchState* batch = FindBatch(number);
  if (batch == nullptr) {
    *reason = absl::StrCat("batch ", number, ": waits for W(", versions.initial, ")");
    return std::optional<TrainingBatch>();
  }
  if (!batch->ready()) {
    *reason = absl::StrCat("batch ", number, ": ", batch->problems_done, " of ",
                           batch->problems.size(), " problems graded, ", batch->initial_done,
                           " of ", batch->initial_total(), " initial responses sampled");
    return std::optional<TrainingBatch>();
  }
  batch->delivered = true;
  return std::optional<TrainingBatch>(
      MakeTrainingBatch(options_, data_, *batch, JudgeAll(options_, *batch), versions));
}

absl::StatusOr<CommitReply> Run::CommitAgain(const BatchCommit& commit) {
  const auto known = versions_.find(commit.batch + 1);
  if (known == versions_.end()) return Forgotten(commit.batch);
  const std::string& published = known->second;
  // Where a replay ended with other bits, those that were published stay published.
  if (published != commit.version.digest && !commit.replayed) {
    return absl::FailedPreconditionError(
        absl::StrCat("batch ", commit.batch, " was committed with digest ", Short(published),
                     ", now with ", Short(commit.version.digest)));
  }
  ATTNRL_RETURN_IF_ERROR(AddCheckpoint(commit.checkpoint_step));
  return Reply(commit.batch);
}

absl::StatusOr<CommitReply> Run::Commit(const BatchCommit& commit) {
  if (commit.version.number != commit.batch + 1 || commit.version.digest.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "batch ", commit.batch, " makes W(", commit.batch + 1, ") with a digest, not W(",
        commit.version.number, ") with '", Short(commit.version.digest), "'"));
  }
  if (commit.batch < committed_) return CommitAgain(commit);
  BatchState* batch = FindBatch(commit.batch);
  if (commit.batch > committed_ || batch == nullptr || !batch->ready()) {
    return absl::FailedPreconditionError(
        absl::StrCat("batch ", commit.batch, " can't be committed: ", committed_,
                     " batches are committed, and this one was not handed out"));
  }
  // A replay that ended with other bits changes nothing that was published.
  auto published = versions_.find(commit.version.number);
  if (!commit.replayed || published == versions_.end()) {
    ATTNRL_RETURN_IF_ERROR(AddVersion(commit.version));
  }
  // The caller makes all of this one transaction: version, records, checkpoint and the batches that
  // the commit makes possible are durable together or not at all. The records still need the batch.
  ATTNRL_RETURN_IF_ERROR(WriteRecords(*batch, commit));
  ++committed_;
  batches_.erase(commit.batch);
  ATTNRL_RETURN_IF_ERROR(AddCheckpoint(commit.checkpoint_step));
  ATTNRL_RETURN_IF_ERROR(Compose());
  AdvanceAll();
  return Reply(commit.batch);
}

SamplingVersions Run::VersionsOf(const BatchState& batch) const {
  const auto version = [this](uint32_t number) { return Version{number, versions_.at(number)}; };
  return {version(schedule_.InitialVersion(batch.place())),
          version(schedule_.ContinuationVersion(batch.place()))};
}

std::optional<Run::Trees> Run::TreesToWrite(uint32_t number) const {
  const auto found = batches_.find(number);
  if (number != committed_ || found == batches_.end() || !found->second.ready()) {
    return std::nullopt;
  }
  return Trees{found->second, VersionsOf(found->second)};
}

absl::Status Run::WriteRecords(const BatchState& batch, const BatchCommit& commit) {
  const std::vector<ProblemOutcome> outcomes = JudgeAll(options_, batch);
  const SamplingVersions versions = VersionsOf(batch);
  const double now = UnixSeconds(clock_.Now());
  StepTiming timing;
  timing.step_seconds = std::max(0.0, now - last_commit_time_);
  timing.window_start = last_train_end_;
  timing.rollouts = rollout_spans_;
  Store::CommitRow row;
  row.batch = batch.number;
  row.time = now;
  row.train = commit.statistics.train.value_or(Span{});
  const BatchFacts facts = FactsOf(options_, batch, outcomes);
  row.metrics = MetricsLine(batch, facts, versions, commit, timing);
  row.problems = static_cast<uint32_t>(batch.problems.size());
  row.valid = static_cast<uint32_t>(facts.valid);
  row.empty = row.valid == 0;
  row.solved = SolvedMean(batch.number).value_or(tree::RunningMean{});
  ATTNRL_RETURN_IF_ERROR(AddEvents(commit));
  ATTNRL_RETURN_IF_ERROR(store_.AddLine(kMetricsFile, row.metrics));
  ATTNRL_RETURN_IF_ERROR(store_.PutCommit(row));

  known_.push_back(Known{row.problems, row.valid, row.solved, row.time});
  CountTrees(batch, outcomes);
  trees_.last = facts;
  trees_.verdicts += facts.verdicts;
  trees_.solved = row.solved;
  NoteVerdicts(row.metrics);
  last_metrics_ = row.metrics;
  last_commit_time_ = now;
  // The newest, not the latest: where the wall clock is set back, what follows has earlier times.
  if (row.train.end > 0) last_train_end_ = row.train.end;
  // Work that ended before this training did can overlap no later training.
  std::erase_if(rollout_spans_, [this](const Span& span) { return span.end <= last_train_end_; });
  empty_in_a_row_ = row.empty ? empty_in_a_row_ + 1 : 0;
  return absl::OkStatus();
}

void Run::NoteVerdicts(const std::string& metrics) {
  if (first_verdicts_.size() >= kFirstBatches) return;
  first_verdicts_.push_back(ReadVerdicts(ParseJson(metrics).value_or(nullptr)));
}

std::optional<std::string> Run::NothingRight() const {
  return scheduler::NothingRight(first_verdicts_, options_.first.max_response_tokens,
                                 options_.run_dir);
}

absl::Status Run::AddEvents(const BatchCommit& commit) {
  const std::pair<const char*, const std::optional<Span>*> spans[] = {
      {"train", &commit.statistics.train},
      {"sync", &commit.statistics.sync},
      {"checkpoint", &commit.statistics.checkpoint}};
  for (const auto& [kind, span] : spans) {
    if (!span->has_value()) continue;
    // Training works on W(b); what is written and sent is W(b + 1).
    const uint32_t version = commit.batch + (std::string_view(kind) == "train" ? 0 : 1);
    ATTNRL_RETURN_IF_ERROR(store_.AddLine(
        kEventsFile, EventLine({kind, commit.batch, std::nullopt, version, std::nullopt, **span})));
  }
  return absl::OkStatus();
}

std::optional<Run::Times> Run::times() const {
  if (known_.empty()) return begun_ > 0 ? std::optional(Times{begun_, begun_}) : std::nullopt;
  const uint32_t step = checkpoints_.empty() ? 0 : checkpoints_.back();
  return Times{known_.back().time, known_[std::max(step, 1u) - 1].time};
}

uint32_t Run::OldestVersionNeeded() const {
  uint32_t oldest = versions_.empty() ? 0 : versions_.rbegin()->first;
  for (const auto& [number, batch] : batches_) {
    const bool initial_done = batch.initial_done == batch.initial_total();
    oldest = std::min(oldest, schedule_.OldestVersionNeeded(batch.place(), initial_done));
  }
  // The next batch may be composed, and its items handed out, before the learner prunes again.
  if (next_batch_ < options_.steps) {
    oldest = std::min(
        oldest, schedule_.InitialVersion({.base = BaseOf(next_batch_), .batch = next_batch_}));
  }
  return oldest;
}

// A learner that makes an earlier batch of a finished run again has more to make.
CommitReply Run::Reply(uint32_t batch) const {
  return CommitReply{OldestVersionNeeded(), finished() && batch + 1 == committed_};
}

std::vector<BatchStatus> Run::Batches() const {
  std::vector<BatchStatus> all;
  for (const auto& [number, batch] : batches_) {
    BatchStatus status;
    status.batch = number;
    status.problems = static_cast<uint32_t>(batch.problems.size());
    status.graded = batch.problems_done;
    status.initial_done = batch.initial_done;
    status.initial_total = batch.initial_total();
    for (const Problem& problem : batch.problems) {
      if (!problem.decided) continue;  // without a look at its responses, of which there are many
      for (const Response& response : problem.responses) {
        status.continuation_total += response.expansion.points.empty() ? 0 : 1;
        status.continuation_done += response.continuation.has_value() ? 1 : 0;
      }
    }
    status.phase = !batch.ready() ? "sampling" : batch.delivered ? "training" : "ready";
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace attnrl::scheduler
