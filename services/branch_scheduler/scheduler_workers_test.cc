// SPDX-License-Identifier: Apache-2.0
// What workers say waits in one inbox: its order and its bounds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::HasSubstr;

TEST(Inbox, WhatAnOlderStreamSaidOfLeasesAndCreditsDoesNotCountForTheNewerOne) {
  SimulationOptions options;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& worker = run.workers()[0];
  worker.silent = true;
  run.RunLearner();
  run.RunWorker(worker);
  const auto older = worker.session;
  ASSERT_TRUE(run.scheduler().Receive(older, Credits{0}).ok());
  worker.session.reset();
  run.RunWorker(worker);
  run.scheduler().Disconnect(older);
  run.scheduler().Step();
  EXPECT_EQ(run.scheduler().Status().active_leases, options.credits);
  EXPECT_EQ(run.scheduler().Status().workers.size(), 1u);
}

TEST(Inbox, ARenewalThatWaitsIsHeardBeforeItsLeaseCanExpire) {
  Simulation run({});
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& worker = run.workers()[0];
  worker.silent = true;
  run.RunLearner();
  run.RunWorker(worker);
  run.RunWorker(worker);
  Renew renew;
  for (const auto& [lease, item] : worker.leases) renew.leases.push_back(lease);
  ASSERT_FALSE(renew.leases.empty());
  ASSERT_TRUE(run.scheduler().Receive(worker.session, renew).ok());
  run.clock().Advance(absl::Hours(1));
  run.RunWorker(run.workers()[1]);  // another one connects first
  run.scheduler().Step();
  EXPECT_EQ(run.scheduler().lease_counters().expired, 0u);
  run.clock().Advance(absl::Hours(1));
  run.scheduler().Step();
  EXPECT_GT(run.scheduler().lease_counters().expired, 0u);
}

TEST(Drain, AWorkerThatComesBackWithItsLeasesMayEndThem) {
  Simulation run({});
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& worker = run.workers()[0];
  worker.silent = true;
  run.RunLearner();
  run.RunWorker(worker);
  run.RunWorker(worker);
  const size_t held = worker.leases.size();
  ASSERT_GT(held, 0u);
  absl::StatusOr<uint32_t> drained = absl::UnknownError("it lasts");
  std::thread drain([&] { drained = run.scheduler().Drain(absl::Minutes(1)); });
  uint64_t seen = 0;
  while (run.scheduler().Status().state != RunState::kDraining) {
    seen = run.scheduler().AwaitChange(seen, absl::Seconds(1));
  }
  run.scheduler().Disconnect(std::exchange(worker.session, nullptr));
  run.scheduler().Step();
  run.RunWorker(run.workers()[1]);
  EXPECT_EQ(run.workers()[1].session, nullptr) << "it has nothing to end";
  worker.silent = false;
  run.RunWorker(worker);
  ASSERT_NE(worker.session, nullptr);
  run.scheduler().Step();
  drain.join();
  ASSERT_TRUE(drained.ok()) << drained.status();
  EXPECT_EQ(*drained, held);
  EXPECT_EQ(run.scheduler().lease_counters().completed, held) << "nothing was taken back";
  worker.session.reset();
  run.RunWorker(worker);
  EXPECT_EQ(worker.session, nullptr) << "the drain is over";
}

TEST(Inbox, AFullInboxLeavesAMessageToItsStream) {
  Simulation run({});
  ASSERT_TRUE(run.Start().ok());
  run.RunWorker(run.workers()[0]);
  const auto& session = run.workers()[0].session;
  for (size_t i = 0; i < Scheduler::kMaxInbox; ++i) {
    ASSERT_TRUE(run.scheduler().Receive(session, Renew{}).ok());
  }
  WorkerMessage last = Renew{{LeaseId{7}}};
  EXPECT_TRUE(absl::IsResourceExhausted(run.scheduler().Receive(session, std::move(last))));
  EXPECT_EQ(std::get<Renew>(last).leases.size(), 1u) << "it can be tried again";
  run.scheduler().Step();
  EXPECT_TRUE(run.scheduler().Receive(session, std::move(last)).ok());
}

TEST(Inbox, TheInboxIsBoundedInBytesAndHasRoomForOneMessageOfAnySize) {
  Simulation run({});
  ASSERT_TRUE(run.Start().ok());
  run.RunWorker(run.workers()[0]);
  const auto& session = run.workers()[0].session;
  ItemResult large;
  large.samples.resize(1);
  large.samples[0].token_ids.resize(Scheduler::kMaxInboxBytes / sizeof(int32_t));
  ASSERT_TRUE(run.scheduler().Receive(session, WorkerMessage(large)).ok());
  const absl::Status full = run.scheduler().Receive(session, WorkerMessage(Renew{}));
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_THAT(std::string(full.message()), HasSubstr("of the 67108864 that may wait"));
}

}  // namespace
}  // namespace attnrl::scheduler::testing
