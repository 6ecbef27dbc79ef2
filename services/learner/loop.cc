// SPDX-License-Identifier: Apache-2.0
#include "services/learner/loop.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/notice.h"
#include "services/learner/batch_check.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

// Versions kept whatever the scheduler needs: those of the last two steps.
constexpr uint32_t kLastSteps = 2;

double MeanReward(const scheduler::TrainingBatch& batch) {
  if (batch.samples.empty()) return NAN;
  double sum = 0;
  for (const auto& sample : batch.samples) sum += sample.reward;
  return sum / static_cast<double>(batch.samples.size());
}

scheduler::Span SpanOf(const Stopwatch& watch) {
  return {UnixSeconds(watch.start()), UnixSeconds(watch.End())};
}

std::map<uint32_t, uint64_t> OldestLags(const scheduler::TrainingBatch& batch) {
  std::map<uint32_t, uint64_t> lags;
  for (const auto& sample : batch.samples) {
    uint32_t oldest = batch.batch;
    for (const auto& run : sample.versions) oldest = std::min(oldest, run.version);
    ++lags[batch.batch - oldest];
  }
  return lags;
}

// Bits that can't be made again, but that a worker or the run's end asks for.
absl::Status LostVersion(uint32_t number) {
  return absl::InvalidArgumentError(absl::StrCat(
      "W(", number, ") is lost but still needed, and training its batch again ended with other ",
      "bits; go on where it was made, with as many ranks, or start another run"));
}

}  // namespace

LearnerLoop::LearnerLoop(LoopOptions options, Trainer& trainer, CheckpointStore& checkpoints,
                         VersionStore& versions, scheduler::BatchSource& batches,
                         const Clock& clock, LoopObserver& observer)
    : options_(std::move(options)),
      trainer_(trainer),
      checkpoints_(checkpoints),
      versions_(versions),
      batches_(batches),
      clock_(clock),
      observer_(observer),
      guard_(options_.nonfinite_folder, options_.max_nonfinite_batches) {}

absl::Status LearnerLoop::Prepare(const std::optional<CheckpointInfo>& start) {
  if (!start.has_value()) {
    auto bits =
        std::make_shared<const VersionData>(ToVersionData(0, trainer_.parameters().OnHost()));
    ATTNRL_RETURN_IF_ERROR(versions_.Publish(bits));
    ATTNRL_RETURN_IF_ERROR(BeginCheckpoint(std::move(bits)));
    return TakeCheckpoint(/*wait=*/true, nullptr);
  }
  ATTNRL_RETURN_IF_ERROR(checkpoints_.Restore(*start, trainer_));
  next_ = checkpoint_ = start->step;
  statistics_ = start->statistics;
  accuracy_ = start->accuracy;
  observe::LogInfo("resumed from a checkpoint",
                   {{"step", next_}, {"newest_version", versions_.Newest()->number}});
  return absl::OkStatus();
}

absl::Status LearnerLoop::Run() {
  absl::Status status = Register();
  if (status.ok() && next_ > 0) status = Recommit();
  bool more = true;
  while (status.ok() && more && !Stopped()) {
    const auto step = Step();
    status = step.status();
    more = step.ok() && *step;
    finished_ = step.ok() && !*step;
  }
  if (absl::IsCancelled(status) && Stopped()) status = absl::OkStatus();
  ATTNRL_RETURN_IF_ERROR(status);
  // In the middle of an abandoned batch there is no state to keep; the batch is trained again.
  if (torn_) return absl::OkStatus();
  ATTNRL_RETURN_IF_ERROR(CheckpointHere());
  return trainer_.Release(finished_);
}

absl::Status LearnerLoop::SetAsking(bool asking) {
  absl::MutexLock lock(&mutex_);
  asking_ = asking;
  return stopped_ ? absl::CancelledError("the learner was stopped") : absl::OkStatus();
}

absl::Status LearnerLoop::Register() {
  ATTNRL_RETURN_IF_ERROR(SetAsking(true));
  absl::Status ranks;
  const absl::Status registered =
      batches_.Register(options_.name, [&](const std::string&) { KeepRanksAlive(&ranks); });
  ATTNRL_RETURN_IF_ERROR(SetAsking(false));
  ATTNRL_RETURN_IF_ERROR(ranks);
  return registered;
}

absl::Status LearnerLoop::Recommit() {
  // The process may have died between making the checkpoint and committing its batch.
  const StepReport report{.batch = next_ - 1,
                          .version = {next_, versions_.DigestOf(next_).value_or("")},
                          .statistics = statistics_};
  ATTNRL_ASSIGN_OR_RETURN(const scheduler::CommitReply reply, Commit(report));
  for (uint32_t number = reply.oldest_version_needed; number < next_; ++number) {
    ATTNRL_ASSIGN_OR_RETURN(const bool served, CanServe(number));
    if (served) continue;
    // Training goes on from here and never makes it again; workers would ask for it for ever.
    return absl::InvalidArgumentError(absl::StrCat(
        "W(", number, ") is damaged or lost but still needed; remove ", checkpoints_.Folder(next_),
        ", and the learner resumes from an older checkpoint, if one is intact, and makes it "
        "again"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> LearnerLoop::CanServe(uint32_t number) {
  // Opening the store has read what lies under weights/, but nobody an older checkpoint's model.
  const std::vector<uint32_t>& steps = checkpoints_.steps();
  if (std::find(steps.begin(), steps.end(), number) == steps.end()) return versions_.Holds(number);
  absl::Status ranks;
  KeepRanksAlive(&ranks);
  ATTNRL_RETURN_IF_ERROR(ranks);
  const absl::Status read = versions_.Read({number, ""}).status();
  if (absl::IsNotFound(read) || absl::IsDataLoss(read)) return false;
  ATTNRL_RETURN_IF_ERROR(read);
  return true;
}

absl::StatusOr<bool> LearnerLoop::Step() {
  StepReport report{.batch = next_, .replayed = versions_.DigestOf(next_ + 1).has_value()};
  double wait_seconds = 0;
  const auto batch = Ask(&wait_seconds);
  if (absl::IsOutOfRange(batch.status())) return false;
  ATTNRL_RETURN_IF_ERROR(batch.status());
  report.samples = static_cast<uint32_t>(batch->samples.size());
  report.reward_mean = MeanReward(*batch);
  report.lags = OldestLags(*batch);
  // Train, make durable, announce, commit: a kill before the weights are durable loses only the
  // training; one between them and the commit leaves a version that is replayed and committed once.
  ATTNRL_RETURN_IF_ERROR(Train(*batch, &report));
  report.statistics.wait_seconds = wait_seconds;
  ATTNRL_RETURN_IF_ERROR(MakeDurable(*batch, &report));
  statistics_ = report.statistics;
  ATTNRL_ASSIGN_OR_RETURN(const scheduler::CommitReply reply, Commit(report));
  if (reply.oldest_version_needed <= next_ && !versions_.Holds(next_)) return LostVersion(next_);
  observer_.Done(report);
  return !reply.finished;
}

absl::StatusOr<scheduler::TrainingBatch> LearnerLoop::Ask(double* wait_seconds) {
  ATTNRL_RETURN_IF_ERROR(SetAsking(true));
  const absl::Duration start = clock_.Monotonic();
  const Version newest = *versions_.Newest();
  absl::Status ranks;
  auto batch = batches_.NextBatch({.batch = next_,
                                   .version = newest,
                                   .checkpoint_step = checkpoint_,
                                   .replay = newest.number > next_},
                                  [&](const std::string& reason) {
                                    observer_.Waiting(next_, reason);
                                    KeepRanksAlive(&ranks);
                                  });
  *wait_seconds = absl::ToDoubleSeconds(clock_.Monotonic() - start);
  ATTNRL_RETURN_IF_ERROR(SetAsking(false));
  ATTNRL_RETURN_IF_ERROR(ranks);
  if (batch.ok() && batch->batch != next_) {
    return absl::InternalError(
        absl::StrCat("asked for batch ", next_, ", received batch ", batch->batch));
  }
  return batch;
}

absl::Status LearnerLoop::Train(const scheduler::TrainingBatch& batch, StepReport* report) {
  if (absl::Status fits = CheckBatch(options_.schedule, batch); !fits.ok()) {
    observer_.Refused(batch.batch, fits);
    return fits;
  }
  const Stopwatch watch(clock_);
  const auto statistics = trainer_.Train(batch, [this] { return Abandon(); });
  torn_ = !statistics.ok();
  ATTNRL_RETURN_IF_ERROR(statistics.status());
  report->statistics = *statistics;
  ATTNRL_RETURN_IF_ERROR(guard_.Check(batch, *statistics, trainer_.counters()));
  if (!batch.samples.empty()) report->statistics.train = SpanOf(watch);
  ++next_;
  if (options_.new_data.contains(batch.batch)) accuracy_ = {.since = batch.batch};
  accuracy_.Add(batch.right_responses, batch.graded_responses);
  return absl::OkStatus();
}

absl::Status LearnerLoop::MakeDurable(const scheduler::TrainingBatch& batch, StepReport* report) {
  const Stopwatch watch(clock_);
  ATTNRL_ASSIGN_OR_RETURN(const Bits bits,
                          report->replayed ? ReplayedBits(batch, report) : NewBits(batch, report));
  // The run would have no last checkpoint.
  if (bits == nullptr && batch.last) return LostVersion(next_);
  if (bits != nullptr) {
    ATTNRL_RETURN_IF_ERROR(versions_.Publish(bits));
    report->statistics.sync = SpanOf(watch);
    if (batch.last || next_ % options_.checkpoint_every == 0) {
      ATTNRL_RETURN_IF_ERROR(TakeCheckpoint(/*wait=*/true, report));
      // With them the commit can be made again from the checkpoint alone (Recommit).
      statistics_ = report->statistics;
      ATTNRL_RETURN_IF_ERROR(BeginCheckpoint(bits));
    }
  }
  // A run that has ended may be given more steps: they begin at its last checkpoint.
  return TakeCheckpoint(/*wait=*/batch.last, report);
}

absl::StatusOr<LearnerLoop::Bits> LearnerLoop::NewBits(const scheduler::TrainingBatch& batch,
                                                       StepReport* report) {
  VersionData data;
  if (batch.samples.empty()) {
    // A skipped batch publishes the bits of the version before, not the masters behind them.
    ATTNRL_ASSIGN_OR_RETURN(const Bits before, versions_.Read({next_ - 1, ""}));
    data = *before;
    data.version.number = next_;
  } else {
    versions_.MakeRoom();
    data = ToVersionData(next_, trainer_.parameters().OnHost());
  }
  report->version = data.version;
  return std::make_shared<const VersionData>(std::move(data));
}

absl::StatusOr<LearnerLoop::Bits> LearnerLoop::ReplayedBits(const scheduler::TrainingBatch& batch,
                                                            StepReport* report) {
  report->version = {next_, *versions_.DigestOf(next_)};
  versions_.MakeRoom();
  auto bits =
      std::make_shared<const VersionData>(ToVersionData(next_, trainer_.parameters().OnHost()));
  if (bits->version == report->version) return bits;
  if (!batch.samples.empty()) {
    report->mismatch = true;
    trainer_.CountReplayMismatch();
    observe::Notify(
        "a replayed batch ended with other bits than the published ones; those stay published",
        {{"batch", batch.batch}, {"digest", report->version.digest}});
  }
  absl::StatusOr<Bits> published = versions_.Read(report->version);
  if (absl::IsNotFound(published.status())) return nullptr;  // pruned, or lost: see Step
  return published;
}

absl::StatusOr<scheduler::CommitReply> LearnerLoop::Commit(const StepReport& report) {
  absl::Status ranks;
  // Only one that stays is named: without a place for it Prune may remove it below.
  const auto best = options_.checkpoints_best > 0 ? checkpoints_.Best() : std::nullopt;
  const absl::StatusOr<scheduler::CommitReply> reply =
      batches_.CommitBatch({.batch = report.batch,
                            .version = report.version,
                            .checkpoint_step = checkpoint_,
                            .replayed = report.replayed,
                            .statistics = report.statistics,
                            .best = best},
                           [&](const std::string&) { KeepRanksAlive(&ranks); });
  ATTNRL_RETURN_IF_ERROR(ranks);
  ATTNRL_RETURN_IF_ERROR(reply.status());
  ATTNRL_RETURN_IF_ERROR(Prune(reply->oldest_version_needed));
  return reply;
}

void LearnerLoop::KeepRanksAlive(absl::Status* ranks) {
  if (ranks->ok()) *ranks = trainer_.KeepAlive();
  if (!ranks->ok()) batches_.Cancel();
}

absl::Status LearnerLoop::BeginCheckpoint(Bits bits) {
  // Once there is a checkpoint, the run no longer depends on the folder that it started from.
  const std::string source =
      checkpoints_.steps().empty() ? options_.model_folder : checkpoints_.Folder(checkpoint_);
  checkpoint_watch_.emplace(clock_);
  const Version version = bits->version;
  return checkpoints_.Begin({.step = version.number,
                             .digest = version.digest,
                             .statistics = statistics_,
                             .accuracy = accuracy_},
                            source, {std::move(bits), versions_.FileOf(version.number)}, trainer_);
}

absl::Status LearnerLoop::TakeCheckpoint(bool wait, StepReport* report) {
  // In copy_time: what is waited for below is the disk.
  if (wait) ATTNRL_RETURN_IF_ERROR(trainer_.FinishCopy());
  const Stopwatch disk(clock_);
  ATTNRL_ASSIGN_OR_RETURN(const auto complete, checkpoints_.TakeComplete(trainer_, wait));
  if (!complete.has_value()) return absl::OkStatus();
  const double pause = absl::ToDoubleSeconds(trainer_.copy_time() + disk.Elapsed());
  // Only now: the scheduler drops what a checkpoint that it hears of makes needless.
  checkpoint_ = complete->step;
  ATTNRL_RETURN_IF_ERROR(
      versions_.Adopt({complete->step, complete->digest}, checkpoints_.ModelFile(complete->step)));
  observe::LogInfo("checkpoint complete",
                   {{"step", complete->step},
                    {"seconds", absl::ToDoubleSeconds(checkpoint_watch_->Elapsed())},
                    {"pause_seconds", pause},
                    {"accuracy", complete->accuracy.value()}});
  if (report == nullptr) return absl::OkStatus();
  report->checkpoint = complete->step;
  report->checkpoint_pause_seconds += pause;  // of two, where the last one follows another
  report->statistics.checkpoint = SpanOf(*checkpoint_watch_);
  return absl::OkStatus();
}

absl::Status LearnerLoop::CheckpointHere() {
  ATTNRL_RETURN_IF_ERROR(TakeCheckpoint(/*wait=*/true, nullptr));
  // In the middle of a replay the checkpoint before it is as good.
  if (next_ == checkpoint_ || next_ != versions_.Newest()->number) return absl::OkStatus();
  ATTNRL_ASSIGN_OR_RETURN(Bits bits, versions_.Read({next_, ""}));
  ATTNRL_RETURN_IF_ERROR(BeginCheckpoint(std::move(bits)));
  return TakeCheckpoint(/*wait=*/true, nullptr);
}

absl::Status LearnerLoop::Prune(uint32_t oldest_needed) {
  const uint32_t newest = versions_.Newest()->number;
  const uint32_t keep_from = std::min(oldest_needed, newest - std::min(newest, kLastSteps));
  for (uint32_t step :
       checkpoints_.Removable(options_.checkpoints_kept, options_.checkpoints_best, keep_from)) {
    // Forgotten first, so that no reader is sent to files that are being removed.
    versions_.Forget(step);
    ATTNRL_RETURN_IF_ERROR(checkpoints_.Remove(step));
  }
  return versions_.Prune(keep_from);
}

void LearnerLoop::Stop() {
  bool asking = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!stopped_) stop_deadline_ = clock_.Monotonic() + options_.stop_grace;
    stopped_ = true;
    asking = asking_;
  }
  // Only while the loop asks for something: a commit under way is worth its seconds.
  if (asking) batches_.Cancel();
}

bool LearnerLoop::Stopped() {
  absl::MutexLock lock(&mutex_);
  return stopped_;
}

bool LearnerLoop::Abandon() {
  absl::MutexLock lock(&mutex_);
  return stopped_ && clock_.Monotonic() >= stop_deadline_;
}

}  // namespace attnrl::learner
