// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/chunk_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "absl/time/clock.h"

namespace attnrl::learner {
namespace {

using Chunks = std::vector<size_t>;

Chunks UpTo(size_t count) {
  Chunks chunks(count);
  std::iota(chunks.begin(), chunks.end(), 0);
  return chunks;
}

void SendAll(ChunkQueue& queue, size_t source, Chunks* sent) {
  while (const auto chunk = queue.Next(source)) sent->push_back(*chunk);
}

TEST(ChunkQueue, GivesOneSourceAllInTheirOrderSoManyAtATime) {
  ChunkQueue queue({3, 5, 8, 9, 11}, 1);
  Chunks sent;
  EXPECT_EQ(queue.Take(0, 3), (Chunks{3, 5, 8}));
  SendAll(queue, 0, &sent);
  EXPECT_EQ(queue.Take(0, 3), (Chunks{9, 11}));
  SendAll(queue, 0, &sent);
  EXPECT_EQ(sent, (Chunks{3, 5, 8, 9, 11}));
  EXPECT_EQ(queue.Take(0, 3), Chunks());
}

TEST(ChunkQueue, EachBeginsWithItsShareOfTheFirstOnes) {
  ChunkQueue queue(UpTo(5), 2);
  EXPECT_EQ(queue.Take(0, 9), (Chunks{0, 2, 4}));
  EXPECT_EQ(queue.Take(1, 9), (Chunks{1, 3}));
}

TEST(ChunkQueue, WhoHasSentItsShareTakesOverTheLaterHalfOfAnothers) {
  ChunkQueue queue(UpTo(10), 2);
  Chunks sent;
  ASSERT_EQ(queue.Take(0, 9), (Chunks{0, 2, 4, 6, 8}));
  (void)queue.Take(1, 9);
  EXPECT_EQ(queue.Next(0), 0u);
  SendAll(queue, 1, &sent);
  EXPECT_EQ(queue.Take(1, 9), (Chunks{6, 8}));
  EXPECT_TRUE(queue.Owes(0));
  EXPECT_EQ(queue.Next(0), 2u);
  EXPECT_EQ(queue.Next(0), 4u);
  EXPECT_FALSE(queue.Owes(0));
  EXPECT_EQ(queue.Next(0), std::nullopt) << "the other one sends it";
}

TEST(ChunkQueue, WhatOneLeavesTheOtherHas) {
  ChunkQueue queue(UpTo(6), 2);
  (void)queue.Take(0, 9);
  EXPECT_EQ(queue.Next(0), 0u);
  queue.Leave(0);
  EXPECT_EQ(queue.Next(0), std::nullopt);
  EXPECT_EQ(queue.Take(0, 9), Chunks());
  Chunks sent;
  EXPECT_EQ(queue.Take(1, 9), (Chunks{1, 3, 5}));
  SendAll(queue, 1, &sent);
  EXPECT_EQ(queue.Take(1, 9), (Chunks{2, 4}));
  SendAll(queue, 1, &sent);
  EXPECT_EQ(queue.Take(1, 9), Chunks());
}

TEST(ChunkQueue, OneIsWaitedForThatSendsItsLast) {
  ChunkQueue queue(UpTo(2), 2, /*silence=*/absl::Hours(1));
  ASSERT_EQ(queue.Take(0, 9), (Chunks{0}));
  ASSERT_EQ(queue.Take(1, 9), (Chunks{1}));
  EXPECT_EQ(queue.Next(1), 1u);
  std::atomic<bool> taken = false;
  std::thread other([&] {
    EXPECT_EQ(queue.Take(1, 9), (Chunks{0}));
    taken = true;
  });
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_FALSE(taken);
  queue.Leave(0);
  other.join();
}

TEST(ChunkQueue, OneThatIsSilentLosesEvenItsLastAndIsToldSo) {
  FakeClock clock;
  ChunkQueue queue(UpTo(2), 2, /*silence=*/absl::Seconds(2), clock);
  ASSERT_EQ(queue.Take(0, 9), (Chunks{0}));
  ASSERT_EQ(queue.Take(1, 9), (Chunks{1}));
  std::atomic<int> stopped = 0;
  queue.OnSilenced(0, [&] { ++stopped; });
  EXPECT_EQ(queue.Next(1), 1u);
  EXPECT_EQ(stopped, 0);
  clock.Advance(absl::Seconds(3));
  EXPECT_EQ(queue.Take(1, 9), (Chunks{0}));
  EXPECT_EQ(stopped, 1);
  EXPECT_EQ(queue.Next(0), std::nullopt);
  clock.Advance(absl::Seconds(3));
  EXPECT_EQ(queue.Take(0, 9), Chunks()) << "it doesn't get it back";
  queue.OnSilenced(0, [&] { ++stopped; });
  EXPECT_EQ(stopped, 2) << "also where that came first";
}

TEST(ChunkQueue, GivesEachChunkToOneOfManySources) {
  constexpr size_t kChunks = 2000;
  constexpr size_t kSources = 4;
  ChunkQueue queue(UpTo(kChunks), kSources);
  std::vector<std::atomic<int>> sent(kChunks);
  std::vector<std::thread> threads;
  for (size_t source = 0; source < kSources; ++source) {
    threads.emplace_back([&, source] {
      while (!queue.Take(source, 1 + 7 * source).empty()) {
        while (const auto chunk = queue.Next(source)) {
          ++sent[*chunk];
          if (source == 3 && *chunk > kChunks / 2) queue.Leave(source);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t chunk = 0; chunk < kChunks; ++chunk) EXPECT_EQ(sent[chunk], 1) << chunk;
}

}  // namespace
}  // namespace attnrl::learner
