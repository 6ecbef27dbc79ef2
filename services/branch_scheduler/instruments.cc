// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/instruments.h"

#include <string_view>

#include "common/observe/metrics.h"
#include "common/storage/files.h"

namespace attnrl::scheduler {
namespace {

void CountEvents(std::string_view event, uint64_t before, uint64_t now) {
  if (now == before) return;
  observe::Count(observe::kSchedulerLeaseEventsTotal, {event}, static_cast<double>(now - before));
}

void CountFenced(std::string_view reason, uint64_t before, uint64_t now) {
  if (now == before) return;
  observe::Count(observe::kSchedulerFencedWritesTotal, {reason}, static_cast<double>(now - before));
}

}  // namespace

Instruments::Instruments() {
  for (const observe::MetricName& counter :
       {observe::kSchedulerLeaseEventsTotal, observe::kSchedulerFencedWritesTotal,
        observe::kSchedulerUngradableTotal, observe::kSchedulerStoreReconnectsTotal}) {
    observe::StartAtZero(counter);
  }
}

void Instruments::Update(const LeaseTable& leases, const Run& run, absl::Duration now) {
  if (next_item_ != leases.next_item()) {
    next_item_ = leases.next_item();
    pending_since_ = now;
  }
  observe::Set(observe::kSchedulerOpenItems, {}, static_cast<double>(leases.open_items()));
  observe::Set(observe::kSchedulerOldestPendingSeconds, {},
               next_item_ ? absl::ToDoubleSeconds(now - pending_since_) : 0);
  observe::Set(observe::kSchedulerWorkers, {}, static_cast<double>(leases.Workers(now).size()));
  observe::Set(observe::kSchedulerLeases, {}, static_cast<double>(leases.active_leases()));

  const LeaseTable::Counters& counters = leases.counters();
  CountEvents("granted", leases_.granted, counters.granted);
  CountEvents("renewed", leases_.renewed, counters.renewed);
  CountEvents("completed", leases_.completed, counters.completed);
  CountEvents("expired", leases_.expired, counters.expired);
  CountEvents("returned", leases_.returned, counters.returned);
  CountEvents("adopted", leases_.adopted, counters.adopted);
  CountEvents("duplicate", leases_.duplicate, counters.duplicate);
  CountFenced("epoch", leases_.fenced_epoch, counters.fenced_epoch);
  CountFenced("attempt", leases_.fenced - leases_.fenced_epoch,
              counters.fenced - counters.fenced_epoch);
  leases_ = counters;

  observe::Set(observe::kSchedulerBatchesLeft, {}, run.batches_left());
  if (const auto& times = run.times(); times.has_value()) {
    observe::Set(observe::kSchedulerLastCommitTimestampSeconds, {}, times->commit);
    observe::Set(observe::kSchedulerCheckpointTimestampSeconds, {}, times->checkpoint);
  }

  if (!counting_) committed_ = run.committed();
  counting_ = true;
  if (run.committed() != committed_) {
    observe::Count(observe::kSchedulerBatchesTotal, {}, run.committed() - committed_);
    UpdateTrees(run.trees());
    committed_ = run.committed();
  }
  const uint64_t ungradable = run.counters().ungradable_problems;
  if (ungradable != ungradable_) {
    observe::Count(observe::kSchedulerUngradableTotal, {},
                   static_cast<double>(ungradable - ungradable_));
    ungradable_ = ungradable;
  }
}

void Instruments::UpdateTrees(const Run::TreeFacts& trees) {
  const BatchFacts& last = trees.last;
  const auto ratio = [](double part, uint64_t whole) {
    return whole == 0 ? 0 : part / static_cast<double>(whole);
  };
  observe::Set(observe::kSchedulerBatchProblems, {}, static_cast<double>(last.problems));
  observe::Set(observe::kSchedulerValidSamples, {}, static_cast<double>(last.valid));
  observe::Set(observe::kSchedulerBranchGainRatio, {},
               ratio(static_cast<double>(last.disagreeing), last.points));
  observe::Set(observe::kSchedulerInitialGainRatio, {},
               ratio(static_cast<double>(last.differing), last.pairs));
  observe::Set(observe::kSchedulerFciMean, {}, ratio(last.score, last.scored));
  observe::Set(observe::kSchedulerFilterRunningMean, {}, trees.solved.mean());
  const auto count = [](const observe::MetricName& name, std::string_view label, uint64_t before,
                        uint64_t now) {
    if (now != before) observe::Count(name, {label}, static_cast<double>(now - before));
  };
  for (const auto& [kept, problems] : trees.problems) {
    count(observe::kSchedulerProblemsTotal, KeptName(kept), trees_.problems[kept], problems);
  }
  for (const auto& [origin, points] : trees.points) {
    count(observe::kSchedulerBranchPointsTotal, origin, trees_.points[origin], points);
  }
  count(observe::kSchedulerResponsesTotal, "yes", trees_.expanded, trees.expanded);
  count(observe::kSchedulerResponsesTotal, "no", trees_.unexpanded, trees.unexpanded);
  for (const auto& [word, verdict] : WordsOf(Verdict{})) {
    count(observe::kSchedulerVerdictsTotal, word, trees_.verdicts[verdict],
          trees.verdicts[verdict]);
  }
  trees_ = trees;
}

void Instruments::Commit(absl::Duration took, const std::string& folder) {
  observe::Observe(observe::kSchedulerDbCommitSeconds, {}, absl::ToDoubleSeconds(took));
  if (const auto free = storage::FreeBytes(folder); free.ok()) {
    observe::Set(observe::kStorageFreeBytes, {"db"}, static_cast<double>(*free));
  }
}

}  // namespace attnrl::scheduler
