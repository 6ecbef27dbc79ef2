// SPDX-License-Identifier: Apache-2.0
// The status' part of convert.h.
#include "services/branch_scheduler/convert/convert.h"
#include "services/branch_scheduler/convert/parts.h"

namespace attnrl::scheduler {
namespace {

v1::StatusReply::State WireState(RunState state) {
  switch (state) {
    case RunState::kStarting:
      return v1::StatusReply::STATE_STARTING;
    case RunState::kRunning:
      return v1::StatusReply::STATE_RUNNING;
    case RunState::kPaused:
      return v1::StatusReply::STATE_PAUSED;
    case RunState::kDraining:
      return v1::StatusReply::STATE_DRAINING;
    case RunState::kFinished:
      return v1::StatusReply::STATE_FINISHED;
  }
  return v1::StatusReply::STATE_UNSPECIFIED;
}

RunState PlainState(v1::StatusReply::State state) {
  switch (state) {
    case v1::StatusReply::STATE_RUNNING:
      return RunState::kRunning;
    case v1::StatusReply::STATE_PAUSED:
      return RunState::kPaused;
    case v1::StatusReply::STATE_DRAINING:
      return RunState::kDraining;
    case v1::StatusReply::STATE_FINISHED:
      return RunState::kFinished;
    default:
      return RunState::kStarting;
  }
}

}  // namespace

void ToProto(const RunStatus& from, v1::StatusReply* to) {
  to->set_state(WireState(from.state));
  to->set_reason(from.reason);
  to->set_steps_done(from.steps_done);
  to->set_steps_total(from.steps_total);
  SetVersion(from.newest_version, to->mutable_newest_version());
  to->set_open_items(from.open_items);
  to->set_active_leases(from.active_leases);
  for (const WorkerStatus& worker : from.workers) {
    v1::WorkerStatus* out = to->add_workers();
    out->set_worker(worker.worker);
    out->set_capacity(worker.capacity);
    out->set_leases(worker.leases);
    out->set_generated_tokens(worker.generated_tokens);
    out->set_results(worker.results);
    out->set_parked(worker.parked);
    if (worker.version.has_value()) out->set_version(*worker.version);
    out->set_last_seen_seconds(worker.last_seen_seconds);
  }
  for (const BatchStatus& batch : from.batches) {
    v1::BatchStatus* out = to->add_batches();
    out->set_batch(batch.batch);
    out->set_problems(batch.problems);
    out->set_graded(batch.graded);
    out->set_initial_done(batch.initial_done);
    out->set_initial_total(batch.initial_total);
    out->set_continuation_done(batch.continuation_done);
    out->set_continuation_total(batch.continuation_total);
    out->set_phase(batch.phase);
  }
  to->set_last_metrics_json(from.last_metrics_json);
  to->set_epoch(from.epoch);
  to->mutable_waits()->Assign(from.waits.begin(), from.waits.end());
}

RunStatus FromProto(const v1::StatusReply& from) {
  RunStatus to;
  to.state = PlainState(from.state());
  to.reason = from.reason();
  to.steps_done = from.steps_done();
  to.steps_total = from.steps_total();
  to.newest_version = GetVersion(from.newest_version());
  to.open_items = from.open_items();
  to.active_leases = from.active_leases();
  for (const v1::WorkerStatus& worker : from.workers()) {
    WorkerStatus& out = to.workers.emplace_back(
        WorkerStatus{worker.worker(), worker.capacity(), worker.leases(), worker.generated_tokens(),
                     worker.results(), worker.parked()});
    if (worker.has_version()) out.version = worker.version();
    out.last_seen_seconds = worker.last_seen_seconds();
  }
  for (const v1::BatchStatus& batch : from.batches()) {
    to.batches.push_back(BatchStatus{batch.batch(), batch.problems(), batch.graded(),
                                     batch.initial_done(), batch.initial_total(),
                                     batch.continuation_done(), batch.continuation_total(),
                                     batch.phase()});
  }
  to.last_metrics_json = from.last_metrics_json();
  to.epoch = from.epoch();
  to.waits.assign(from.waits().begin(), from.waits().end());
  return to;
}

}  // namespace attnrl::scheduler
