// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/gloo_group.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/testing/free_port.h"

namespace attnrl::learner {
namespace {

using ::testing::HasSubstr;

TEST(MessageTag, BeginsAnewBeforeItWouldBeNegative) {
  EXPECT_EQ(MessageTag(0), 0);
  EXPECT_EQ(MessageTag(0x7fff'ffffu), std::numeric_limits<int>::max());
  EXPECT_EQ(MessageTag(0x8000'0000u), 0);
  EXPECT_EQ(MessageTag(0xffff'ffffu), std::numeric_limits<int>::max());
}

class JoinRanksTest : public ::testing::Test {
 protected:
  RankPlace Place(int rank, int size) const { return {rank, size, "127.0.0.1", port_}; }

  // A rank among `size`, in a thread of its own, which stays in the group until `done`.
  std::thread Rank(RankPlace place, absl::Notification& done) const {
    return std::thread([place = std::move(place), &done] {
      const auto group = JoinRanks(place, {.timeout = absl::Seconds(60)});
      EXPECT_TRUE(group.ok()) << group.status();
      if (group.ok()) {
        const int64_t size = place.size;
        const at::Tensor received = Exchange(**group, at::full({size, 1}, place.rank)).Wait();
        EXPECT_TRUE(at::equal(received, at::arange(size).unsqueeze(1)));
      }
      done.WaitForNotification();
    });
  }

  const int port_ = FreePort();
};

// With a store that torchrun would host, and that stays when ranks go.
class JoinRanksByAgentTest : public JoinRanksTest {
 protected:
  RankPlace Place(int rank, int size) const { return {rank, size, "127.0.0.1", port_, true}; }
  void StartAgent() {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(port_);
    options.isServer = true;
    options.waitWorkers = false;
    agent_ = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  }

 private:
  c10::intrusive_ptr<c10d::TCPStore> agent_;
};

TEST_F(JoinRanksTest, RanksThatMeetSendEachOtherTensorsInOrder) {
  constexpr int kSize = 3;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kSize; ++rank) {
    threads.emplace_back([&, rank] {
      const auto group = JoinRanks(Place(rank, kSize), {.timeout = absl::Seconds(60)});
      ASSERT_TRUE(group.ok()) << group.status();
      EXPECT_EQ((*group)->rank(), rank);
      EXPECT_EQ((*group)->size(), kSize);
      for (int64_t length : {1, 100'000}) {
        const at::Tensor parts = at::full({kSize, length}, static_cast<float>(rank));
        const at::Tensor received = Exchange(**group, parts).Wait();
        for (int from = 0; from < kSize; ++from) {
          EXPECT_TRUE(at::equal(received[from], at::full({length}, static_cast<float>(from))));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(JoinRanksTest, ARankThatGoesAwayIsNamed) {
  absl::Notification joined;  // one that goes earlier was never in the group
  std::thread other([&] {
    const auto group = JoinRanks(Place(1, 2), {.timeout = absl::Seconds(60)});
    EXPECT_TRUE(group.ok()) << group.status();
    joined.WaitForNotification();
  });
  const auto group = JoinRanks(Place(0, 2), {.timeout = absl::Seconds(60)});
  joined.Notify();
  other.join();
  ASSERT_TRUE(group.ok()) << group.status();
  try {
    Exchange(**group, at::zeros({2, 1000})).Wait();
    ADD_FAILURE() << "nobody answered, yet there was an answer";
  } catch (const RankError& error) {
    EXPECT_THAT(error.what(), HasSubstr("rank 1 has closed its connection"));
  }
}

TEST_F(JoinRanksTest, ARankThatComesBackTooEarlyIsNotTakenIntoTheGroupThatIsStillThere) {
  absl::Notification done;
  std::thread other([&] {
    const auto group = JoinRanks(Place(1, 2), {.timeout = absl::Seconds(60)});
    EXPECT_TRUE(group.ok()) << group.status();
    done.WaitForNotification();
  });
  const auto group = JoinRanks(Place(0, 2), {.timeout = absl::Seconds(60)});
  EXPECT_TRUE(group.ok()) << group.status();
  const auto again = JoinRanks(Place(1, 2), {.timeout = absl::Milliseconds(500)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(again.status())) << again.status();
  EXPECT_THAT(again.status().message(), HasSubstr("for rank 0 at 127.0.0.1"));
  done.Notify();
  other.join();
}

TEST_F(JoinRanksTest, ARankWhoseRankZeroGoesAwayBeforeAllAreThereWaitsForTheNext) {
  absl::Notification done;
  std::thread first = Rank(Place(1, 3), done);
  const auto gone = JoinRanks(Place(0, 3), {.timeout = absl::Seconds(2)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(gone.status())) << gone.status();
  std::thread zero = Rank(Place(0, 3), done);
  std::thread second = Rank(Place(2, 3), done);
  done.Notify();
  for (std::thread* thread : {&first, &zero, &second}) thread->join();
}

TEST_F(JoinRanksTest, ASilentRankIsNamedAfterTheDeadline) {
  absl::Notification done;
  std::thread other([&] {
    const auto group = JoinRanks(Place(1, 2), {.timeout = absl::Seconds(60)});
    EXPECT_TRUE(group.ok()) << group.status();
    done.WaitForNotification();
  });
  const auto group = JoinRanks(Place(0, 2), {.timeout = absl::Seconds(2)});
  ASSERT_TRUE(group.ok()) << group.status();
  try {
    Exchange(**group, at::zeros({2, 1000})).Wait();
    ADD_FAILURE() << "nobody answered, yet there was an answer";
  } catch (const RankError& error) {
    EXPECT_THAT(error.what(), HasSubstr("rank 1 has not answered for 2s"));
  }
  done.Notify();
  other.join();
}

TEST_F(JoinRanksTest, WaitingForOthersEndsAndSaysForWhomAndNothingElse) {
  ::testing::internal::CaptureStderr();
  const auto alone = JoinRanks(Place(0, 3), {.timeout = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(alone.status()));
  EXPECT_THAT(alone.status().message(), HasSubstr("for ranks 1, 2"));
  const auto other = JoinRanks(Place(1, 3), {.timeout = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(other.status()));
  EXPECT_THAT(other.status().message(), HasSubstr("for rank 0 at 127.0.0.1"));
  const auto stopped = JoinRanks(Place(0, 3), {.abandon = [] { return true; }});
  EXPECT_TRUE(absl::IsCancelled(stopped.status()));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(JoinRanksByAgentTest, RanksThatStartAgainMeetInTheSameStoreAndNoEarlierGroupTakesThem) {
  StartAgent();
  absl::Notification first_done;
  std::thread zero = Rank(Place(0, 2), first_done);
  std::thread one = Rank(Place(1, 2), first_done);
  first_done.Notify();
  zero.join();
  one.join();
  const auto early = JoinRanks(Place(1, 2), {.timeout = absl::Milliseconds(500)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(early.status())) << early.status();
  EXPECT_THAT(early.status().message(), HasSubstr("for rank 0 at 127.0.0.1"));

  absl::Notification second_done;
  one = Rank(Place(1, 2), second_done);
  zero = Rank(Place(0, 2), second_done);
  second_done.Notify();
  zero.join();
  one.join();
}

TEST_F(JoinRanksByAgentTest, ARoundThatItsRankZeroHasLeftTakesNobody) {
  StartAgent();
  const auto left = JoinRanks(Place(0, 2), {.timeout = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(left.status())) << left.status();
  EXPECT_THAT(left.status().message(), HasSubstr("for rank 1"));
  // All have been in that round by the end of this one, at different times.
  const auto other = JoinRanks(Place(1, 2), {.timeout = absl::Seconds(1)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(other.status())) << other.status();
  EXPECT_THAT(other.status().message(), HasSubstr("for rank 0 at 127.0.0.1"));

  absl::Notification done;
  std::thread one = Rank(Place(1, 2), done);
  std::thread zero = Rank(Place(0, 2), done);
  done.Notify();
  one.join();
  zero.join();
}

TEST_F(JoinRanksByAgentTest, WhereNobodyListensTorchrunIsWaitedFor) {
  const auto alone = JoinRanks(Place(0, 2), {.timeout = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(alone.status()));
  EXPECT_THAT(alone.status().message(), HasSubstr("for torchrun at 127.0.0.1"));
}

}  // namespace
}  // namespace attnrl::learner
