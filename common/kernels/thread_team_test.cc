// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/thread_team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace attnrl::kernels {
namespace {

TEST(ThreadTeam, DoesEveryItemOnceLoopAfterLoop) {
  ThreadTeam team(3);
  std::vector<std::atomic<int>> done(100);
  for (int loop = 1; loop <= 500; ++loop) {
    const int64_t items = loop % 100 + 1;
    for (std::atomic<int>& item : done) item = 0;
    team.Run(items, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++done[static_cast<size_t>(i)];
    });
    for (size_t i = 0; i < done.size(); ++i) {
      ASSERT_EQ(done[i], static_cast<int64_t>(i) < items ? 1 : 0)
          << "item " << i << " of " << items;
    }
  }
}

TEST(ThreadTeam, UsesAllItsThreads) {
  ThreadTeam team(4);
  absl::Mutex mutex;
  std::set<std::thread::id> threads;
  std::atomic<int> there = 0;
  team.Run(4, 1, [&](int64_t, int64_t) {
    {
      absl::MutexLock lock(&mutex);
      threads.insert(std::this_thread::get_id());
    }
    ++there;
    while (there < 4) std::this_thread::yield();
  });
  EXPECT_EQ(threads.size(), 4u);
}

TEST(ThreadTeam, WhatIsTooLittleForTwoStaysWithTheCaller) {
  ThreadTeam team(4);
  int calls = 0;
  team.Run(9, 5, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 9);
    ++calls;
  });
  team.Run(0, 1, [&](int64_t, int64_t) { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(ThreadTeam, ALoopWithinALoopStaysWithItsThread) {
  ThreadTeam team(2);
  std::atomic<int> inner = 0;
  team.Run(2, 1, [&](int64_t begin, int64_t) {
    if (begin == 0)
      team.Run(10, 1, [&](int64_t b, int64_t e) { inner += static_cast<int>(e - b); });
  });
  EXPECT_EQ(inner, 10);
}

TEST(ThreadTeam, AnExceptionComesThroughAndTheTeamGoesOn) {
  ThreadTeam team(2);
  for (const int64_t bad : {0, 1}) {
    EXPECT_THROW(team.Run(2, 1,
                          [&](int64_t begin, int64_t) {
                            if (begin == bad) throw std::runtime_error("no");
                          }),
                 std::runtime_error);
  }
  std::atomic<int> done = 0;
  team.Run(2, 1, [&](int64_t, int64_t) { ++done; });
  EXPECT_EQ(done, 2);
}

TEST(ThreadTeam, BelongsToTheThreadThatUsesIt) {
  EXPECT_EQ(ThreadTeam::OfThisThread(), nullptr);
  {
    ThreadTeam team(2);
    team.UseOnThisThread();
    EXPECT_EQ(ThreadTeam::OfThisThread(), &team);
    std::thread([] { EXPECT_EQ(ThreadTeam::OfThisThread(), nullptr); }).join();
  }
  EXPECT_EQ(ThreadTeam::OfThisThread(), nullptr);
}

}  // namespace
}  // namespace attnrl::kernels
