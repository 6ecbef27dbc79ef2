// SPDX-License-Identifier: Apache-2.0
#include "common/base/queue.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace attnrl {
namespace {

TEST(BoundedQueue, GivesItemsBackInOrder) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.Push(1));
  EXPECT_TRUE(queue.Push(2));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
  EXPECT_EQ(queue.Pop(absl::ZeroDuration()), std::nullopt);
}

TEST(BoundedQueue, CloseRefusesPushesAndDrainsPops) {
  BoundedQueue<int> queue(2);
  queue.Push(1);
  queue.Close();
  EXPECT_FALSE(queue.Push(2));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueue, PushWaitsForRoomAndLosesNothing) {
  BoundedQueue<int> queue(1);
  std::thread producer([&queue] {
    for (int i = 0; i < 100; ++i) queue.Push(i);
    queue.Close();
  });
  int expected = 0;
  while (auto item = queue.Pop()) EXPECT_EQ(*item, expected++);
  producer.join();
  EXPECT_EQ(expected, 100);
}

TEST(BoundedQueue, NeverHoldsMoreThanItsCapacity) {
  BoundedQueue<int> queue(3);
  std::thread producer([&queue] {
    for (int i = 0; i < 1000; ++i) queue.Push(i);
    queue.Close();
  });
  int popped = 0;
  do {
    EXPECT_LE(queue.size(), 3u);
  } while (queue.Pop().has_value() && ++popped > 0);
  producer.join();
  EXPECT_EQ(popped, 1000);
}

TEST(BoundedQueue, HandsOverWhatCanOnlyBeMoved) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  ASSERT_TRUE(queue.Push(std::make_unique<int>(7)));
  EXPECT_EQ(**queue.Pop(), 7);
}

TEST(BoundedQueue, CloseEndsPushesAndPopsThatWait) {
  BoundedQueue<int> full(1);
  BoundedQueue<int> empty(1);
  full.Push(1);
  // Whether each waits already or comes later, its answer is the same.
  std::thread producer([&full] { EXPECT_FALSE(full.Push(2)); });
  std::thread consumer([&empty] { EXPECT_EQ(empty.Pop(), std::nullopt); });
  full.Close();
  empty.Close();
  producer.join();
  consumer.join();
  EXPECT_TRUE(full.closed());
  EXPECT_FALSE(full.Push(3));
  EXPECT_EQ(full.Pop(), 1);
  EXPECT_EQ(full.size(), 0u);
}

TEST(BoundedQueue, GivesEachItemToOneOfItsConsumers) {
  BoundedQueue<int> queue(4);
  constexpr int kItems = 3000;
  std::vector<std::thread> threads;
  std::vector<std::vector<int>> popped(3);
  for (std::vector<int>& mine : popped) {
    threads.emplace_back([&queue, &mine] {
      while (auto item = queue.Pop()) mine.push_back(*item);
    });
  }
  std::vector<std::thread> producers;
  for (int first = 0; first < 3; ++first) {
    producers.emplace_back([&queue, first] {
      for (int i = first; i < kItems; i += 3) queue.Push(i);
    });
  }
  for (std::thread& producer : producers) producer.join();
  queue.Close();
  for (std::thread& thread : threads) thread.join();
  std::vector<int> all;
  for (const std::vector<int>& mine : popped) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  std::vector<int> expected(kItems);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
}

}  // namespace
}  // namespace attnrl
