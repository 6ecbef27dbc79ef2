// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/weights/weight_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "services/learner/testing/fake_weight_client.h"
#include "services/rollout_worker/testing/fake_step_runner.h"

namespace attnrl::rollout {
namespace {

using ::testing::ElementsAre;

Version V(uint32_t number) { return {.number = number, .digest = "x"}; }

class WeightKeeperTest : public ::testing::Test {
 protected:
  explicit WeightKeeperTest(bool keep_base = false) {
    for (uint32_t number = 0; number < 6; ++number) {
      learner::VersionData data;
      data.version = V(number);
      store_.Publish(data);
    }
    WeightKeeperOptions options;
    options.first_backoff = absl::Milliseconds(1);
    options.keep_base = keep_base;
    options.set = [this](uint32_t number, const Weights&) {
      absl::MutexLock lock(&mutex_);
      held_.insert(number);
    };
    options.drop = [this](uint32_t number) {
      absl::MutexLock lock(&mutex_);
      held_.erase(number);
    };
    keeper_ = std::make_unique<WeightKeeper>(
        options, store_, [this](const learner::VersionData& data) -> absl::StatusOr<Weights> {
          absl::MutexLock lock(&mutex_);
          if (refusals_-- > 0) return absl::DataLossError("damaged");
          return FakeStepRunner::Weights(data.version.number);
        });
  }

  // What is held once `number` is among it.
  std::set<uint32_t> HeldWith(uint32_t number) {
    absl::MutexLock lock(&mutex_);
    const auto there = [this, number]()
                           ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return held_.contains(number); };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(20)));
    return held_;
  }

  learner::FakeWeightClient store_;
  absl::Mutex mutex_;
  std::set<uint32_t> held_ ABSL_GUARDED_BY(mutex_);
  int refusals_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<WeightKeeper> keeper_;
};

class WithBaseTest : public WeightKeeperTest {
 protected:
  WithBaseTest() : WeightKeeperTest(/*keep_base=*/true) {}
};

TEST_F(WithBaseTest, AsksForWhatDiffersFromTheVersionFetchedLast) {
  keeper_->Want({V(0)});
  HeldWith(0);
  EXPECT_EQ(store_.last_base(), Version());
  keeper_->Want({V(1)});
  HeldWith(1);
  EXPECT_EQ(store_.last_base(), V(0));
  keeper_->Want({V(2)});
  HeldWith(2);
  EXPECT_EQ(store_.last_base(), V(1));
}

TEST_F(WeightKeeperTest, AsksForWholeVersionsWhereItKeepsNone) {
  keeper_->Want({V(0)});
  HeldWith(0);
  keeper_->Want({V(1)});
  HeldWith(1);
  EXPECT_EQ(store_.last_base(), Version());
}

TEST_F(WeightKeeperTest, HoldsAtMostTwoVersions) {
  keeper_->Want({V(0), V(1), V(2)});
  HeldWith(0);
  EXPECT_THAT(HeldWith(1), ElementsAre(0, 1));
  keeper_->Want({V(1), V(2), V(3)});
  EXPECT_THAT(HeldWith(2), ElementsAre(1, 2));
}

TEST_F(WeightKeeperTest, KeepsWhatNobodyNeedsWhileThereIsRoom) {
  keeper_->Want({V(0)});
  HeldWith(0);
  keeper_->Want({V(1)});
  EXPECT_THAT(HeldWith(1), ElementsAre(0, 1));
  keeper_->Want({V(0), V(1)});
  keeper_->Want({V(1), V(2)});
  EXPECT_THAT(HeldWith(2), ElementsAre(1, 2));
  EXPECT_EQ(store_.fetches(), 3);
}

TEST_F(WeightKeeperTest, GoesBackToAnOlderVersion) {
  keeper_->Want({V(3), V(4)});
  HeldWith(3);
  HeldWith(4);
  keeper_->Want({V(2), V(4)});
  EXPECT_THAT(HeldWith(2), ElementsAre(2, 4));
}

TEST_F(WeightKeeperTest, DropsOtherBitsUnderAWantedNumberAtOnce) {
  keeper_->Want({V(0), V(1)});
  HeldWith(0);
  HeldWith(1);
  keeper_->Want({{.number = 1, .digest = "of another run"}});
  absl::MutexLock lock(&mutex_);
  EXPECT_THAT(held_, ElementsAre(0));
}

TEST_F(WeightKeeperTest, AVersionThatCantBeHadHoldsUpNoOtherAndIsNamed) {
  store_.Remove(3);
  keeper_->Want({V(3), V(4)});
  EXPECT_THAT(HeldWith(4), ElementsAre(4));
  EXPECT_TRUE(keeper_->Holds(V(4)));
  EXPECT_FALSE(keeper_->Holds(V(3)));
  const auto troubles = keeper_->troubles();
  ASSERT_EQ(troubles.size(), 1u);
  EXPECT_EQ(troubles[0].version, V(3));
  EXPECT_EQ(troubles[0].reason, "W(3) is not published");
  learner::VersionData data;
  data.version = V(3);
  store_.Publish(data);
  EXPECT_THAT(HeldWith(3), ElementsAre(3, 4));
}

TEST_F(WeightKeeperTest, NeverPassesDamagedWeightsOn) {
  {
    absl::MutexLock lock(&mutex_);
    refusals_ = 2;
  }
  keeper_->Want({V(5)});
  EXPECT_THAT(HeldWith(5), ElementsAre(5));
  EXPECT_EQ(store_.fetches(), 3);
}

}  // namespace
}  // namespace attnrl::rollout
