// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/cuda/testing/emulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace attnrl::cuda {
namespace {

using testing::HasSubstr;

constexpr int kThreads = 64;

// Reverses each block's numbers through shared memory; `kBarrier` is what it must not lack.
template <bool kBarrier>
struct Reverse {
  struct Arguments {
    const float* from;
    float* to;
  };
  struct Shared {
    float values[2 * kWarp];
  };
  static constexpr int kThreads = 64;
  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const int64_t first = int64_t{BlockX()} * kThreads;
    shared.values[ThreadIndex()] = a.from[first + ThreadIndex()];
    if constexpr (kBarrier) SyncBlock();
    a.to[first + ThreadIndex()] = shared.values[kThreads - 1 - ThreadIndex()];
  }
};

std::vector<float> Numbers(int count) {
  std::vector<float> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(static_cast<float>(i));
  return numbers;
}

TEST(Emulator, RunsEveryThreadOfEveryBlockInAnyOrder) {
  const std::vector<float> from = Numbers(3 * kThreads);
  for (const ThreadOrder order : kAllOrders) {
    std::vector<float> to(from.size());
    ASSERT_TRUE(Emulate<Reverse<true>>({.x = 3}, {from.data(), to.data()}, order).ok());
    for (size_t i = 0; i < to.size(); ++i) {
      EXPECT_EQ(to[i], from[i / kThreads * kThreads + (kThreads - 1 - i % kThreads)]);
    }
  }
}

TEST(Emulator, ShowsAMissingBarrierAsResultsThatDependOnTheOrder) {
  const std::vector<float> from = Numbers(kThreads);
  std::vector<std::vector<float>> results;
  for (const ThreadOrder order : kAllOrders) {
    std::vector<float> to(from.size());
    ASSERT_TRUE(Emulate<Reverse<false>>({}, {from.data(), to.data()}, order).ok());
    results.push_back(to);
  }
  EXPECT_NE(results[0], results[1]);
  // Of what nobody has written yet, a thread reads NaN.
  EXPECT_TRUE(std::isnan(results[0][0]));
  EXPECT_TRUE(std::isnan(results[1][kThreads - 1]));
}

struct Reduce {
  struct Arguments {
    int* sums;
    double* places;
  };
  struct Shared {
    int parts[2];
  };
  static constexpr int kThreads = 64;
  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    int warp = ThreadIndex();
    for (int mask = 1; mask < kWarp; mask *= 2) warp += ShuffleXor(warp, mask);
    if (LaneIndex() == 0) shared.parts[WarpIndex()] = warp;
    SyncBlock();
    const int block = shared.parts[0] + shared.parts[1];
    // A double crosses whole.
    const double next = ShuffleFrom(1.0 / (1 + LaneIndex()), (LaneIndex() + 1) % kWarp);
    a.sums[ThreadIndex()] = block + BlockY();
    a.places[ThreadIndex()] = next;
  }
};

TEST(Emulator, GivesEveryLaneWhatTheWarpAndTheBlockAddUpTo) {
  for (const ThreadOrder order : kAllOrders) {
    std::vector<int> sums(kThreads);
    std::vector<double> places(kThreads);
    ASSERT_TRUE(Emulate<Reduce>({}, {sums.data(), places.data()}, order).ok());
    for (int i = 0; i < kThreads; ++i) {
      EXPECT_EQ(sums[static_cast<size_t>(i)], kThreads * (kThreads - 1) / 2);
      EXPECT_EQ(places[static_cast<size_t>(i)], 1.0 / (1 + (i + 1) % kWarp));
    }
  }
}

// What a kernel must not do, by number.
template <int kFault>
struct Faulty {
  struct Arguments {};
  struct Shared {};
  static constexpr int kThreads = 64;
  ATTNRL_DEVICE static void Run(const Arguments&, Shared&) {
    const int thread = ThreadIndex();
    if (kFault == 0 && thread % 2 == 0) SyncWarp();
    if (kFault == 1 && thread < 40) SyncBlock();
    if (kFault == 2 && thread != 33) (void)ShuffleXor(thread, 1);
    if (kFault == 3) {
      if (thread % 2 == 0) {
        (void)ShuffleXor(thread, 1);
      } else {
        (void)ShuffleXor(thread, 2);
      }
    }
    if (kFault == 4 && thread == 5) SyncWarp();
    SyncBlock();
  }
};

template <int kFault>
std::string Fault() {
  std::string said;
  for (const ThreadOrder order : kAllOrders) {
    const absl::Status status = Emulate<Faulty<kFault>>({}, {}, order);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    said = std::string(status.message());
  }
  return said;
}

TEST(Emulator, NamesThreadsThatWaitForEachOtherAtDifferentPlaces) {
  EXPECT_THAT(Fault<0>(), HasSubstr("block (0, 0): thread 0 waits for its warp at "));
  EXPECT_THAT(Fault<0>(), HasSubstr("emulator_test.cc:"));
  EXPECT_THAT(Fault<0>(), HasSubstr(", thread 1 waits for its block at "));
  EXPECT_THAT(Fault<1>(), HasSubstr("thread 0 waits for its block at "));
  EXPECT_THAT(Fault<1>(), HasSubstr(", thread 40 waits for its block at "));
  EXPECT_THAT(Fault<2>(), HasSubstr(", thread 33 waits for its block at "));
  EXPECT_THAT(Fault<3>(), HasSubstr(", thread 1 waits for its warp at "));
  EXPECT_THAT(Fault<4>(), HasSubstr(", thread 5 waits for its warp at "));
}

struct EndsEarly {
  struct Arguments {};
  struct Shared {};
  static constexpr int kThreads = 32;
  ATTNRL_DEVICE static void Run(const Arguments&, Shared&) {
    if (ThreadIndex() == 7) return;
    SyncBlock();
  }
};

TEST(Emulator, NamesAThreadThatEndsWhileOthersWait) {
  EXPECT_THAT(std::string(Emulate<EndsEarly>({}, {}, ThreadOrder::kShuffled).message()),
              HasSubstr(", thread 7 has ended"));
}

TEST(KernelLanguage, RoundsToTheNearestBfloat16) {
  const auto rounded = [](float x) { return ToFloat(FromFloat<BFloat16>(x)); };
  EXPECT_EQ(rounded(1.0F), 1.0F);
  EXPECT_EQ(rounded(1.0F + 0x1p-8F), 1.0F);            // half-way, to the even one
  EXPECT_EQ(rounded(1.0F + 0x3p-8F), 1.0F + 0x1p-6F);  // half-way, to the even one
  EXPECT_EQ(rounded(1.0F + 0x1p-8F + 0x1p-20F), 1.0F + 0x1p-7F);
  EXPECT_EQ(rounded(-0x1.FFp127F), -INFINITY);
  EXPECT_TRUE(std::isnan(rounded(FloatOf(0x7F800001U))));
}

}  // namespace
}  // namespace attnrl::cuda
