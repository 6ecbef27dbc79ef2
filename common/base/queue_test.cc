// SPDX-License-Identifier: Apache-2.0
#include "common/base/queue.h"

#include <thread>

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

}  // namespace
}  // namespace attnrl
