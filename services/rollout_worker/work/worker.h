// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "services/branch_scheduler/client/work_stream.h"
#include "services/rollout_worker/engine/engine.h"
#include "services/rollout_worker/weights/weight_keeper.h"
#include "services/rollout_worker/work/inbox.h"
#include "services/rollout_worker/work/lease_book.h"
#include "services/rollout_worker/work/reserve.h"

namespace attnrl::rollout {

struct WorkerOptions {
  std::string name = "worker-0";  // unique in the run
  std::string numerics_id = {};
  int64_t slots = 64;      // as the engine's
  int64_t max_tokens = 0;  // as the engine's
  int64_t vocabulary = 0;  // as the engine's: token ids are below it
  // Longest wait for acknowledgements after a drain began.
  absl::Duration drain_limit = absl::Seconds(10);
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(2);
  // Lease time until the scheduler says its own.
  absl::Duration lease_time = absl::Seconds(60);
  // Optional, for metrics: a sequence has ended.
  std::function<void(const Completion&)> observe = nullptr;
};

// The worker's side of the Work stream. Registers with what it still holds, grants credits so that
// the engine's slots stay full, turns leases into engine requests, sends results and keeps them
// until they are acknowledged, renews its leases at a third of their time, and comes back with
// jittered back-off when the stream ends. A drain gives back what is unfinished and waits for the
// acknowledgement of what is finished. It owns nothing durable: killed at any moment, its leases
// are handed out again.
//
// Run and all private methods belong to one thread. Others only put events into the inbox: a reader
// for the open stream, the engine's completions, and Drain.
//
//   Worker worker(options, *connector, *engine, *keeper);
//   std::thread signals([&] { shutdown.Wait(); worker.Drain(); });
//   absl::Status status = worker.Run();
class Worker {
 public:
  // Everything given must outlive this.
  Worker(WorkerOptions options, scheduler::WorkConnector& connector, Engine& engine,
         WeightKeeper& keeper, const Clock& clock = Clock::Real());
  ~Worker();

  // Works until drained: OK then. FAILED_PRECONDITION or INVALID_ARGUMENT when the scheduler
  // refuses this worker (other numerics than the run's): starting it again is useless. INTERNAL
  // when the scheduler refuses one of its results or the model can't be run. An item that it can't
  // do is given back as failed, and the others go on.
  absl::Status Run();
  // Asks Run to give everything back and return. Any thread, any number of times.
  void Drain();

 private:
  // Stream.
  void Connect();
  void Disconnect(const absl::Status& status);
  void CloseStream();
  void Send(const scheduler::WorkerMessage& message);
  void SendResult(const scheduler::ItemResult& result);
  // The item goes back as failed and is no longer held.
  void FailItem(scheduler::LeaseId lease, const absl::Status& why);
  // Events.
  void Handle(WorkerEvent event);
  void HandleMessage(scheduler::SchedulerMessage message);
  void OnRegistered(const scheduler::Registered& registered);
  void OnLease(const scheduler::Lease& lease);
  void OnAck(const scheduler::Ack& ack);
  void OnPrefetch(const Version& version);
  void OnCompletion(const Completion& completion);
  void StartDrain(const std::string& reason);
  // Without some weights for half a lease time: gives back what it can't begin, and asks for
  // nothing until they are there, or for a lease time: nobody may need them any more.
  void RestWithoutWeights(absl::Duration now);
  // What is not finished by its lease's limit goes back whole, for another worker.
  void HandOnLate(absl::Duration now);
  // The first reason counts.
  void LeaveBecause(const absl::Status& why, const char* words);
  void LeaveAsBroken(const absl::Status& why);
  void GiveBack(const std::vector<scheduler::LeaseId>& leases, const std::string& reason);
  // Bookkeeping.
  void Forget(const std::vector<scheduler::LeaseId>& leases);
  void UpdateWants();
  void UpdateCredits();
  uint32_t WantedCredits() const;
  // A lease or an acknowledgement has come.
  void NoteAnswer();
  void Timers();
  void Leave(absl::Duration now);
  absl::Duration UntilNextTimer() const;
  bool Done() const;

  const WorkerOptions options_;
  scheduler::WorkConnector& connector_;
  Engine& engine_;
  WeightKeeper& keeper_;
  const Clock& clock_;
  const std::shared_ptr<Inbox> inbox_;  // shared with callbacks that may outlive this

  LeaseBook book_;
  Backoff backoff_;
  std::optional<Version> prefetch_;
  std::optional<absl::Status> failure_;  // ends Run at once
  absl::Status unfit_;                   // ends Run after a drain
  // Of the newest lease; before the first one a guess (the continuations of a response), so that a
  // new worker does not take more than it can run.
  int64_t samples_per_lease_ = 4;
  Reserve reserve_;
  // When the oldest result was sent since the scheduler's last answer.
  std::optional<absl::Duration> sent_;

  std::unique_ptr<scheduler::WorkStream> stream_;
  std::thread reader_;
  int stream_number_ = 0;
  bool registered_ = false;
  uint32_t credits_ = 0;
  absl::Duration lease_time_;
  absl::Duration next_connect_;
  absl::Duration next_renew_;

  std::map<uint64_t, uint64_t> progress_;  // as the engine last said, by request
  // What it couldn't begin for want of these weights; wanted until they are there, or others do.
  std::optional<Version> lacking_;
  bool resting_ = false;  // without them
  absl::Duration rest_end_;
  bool draining_ = false;
  bool left_ = false;  // said goodbye; waiting for the stream's end
  absl::Duration linger_end_;
  absl::Duration drain_end_;
};

}  // namespace attnrl::rollout
