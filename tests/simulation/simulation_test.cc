// SPDX-License-Identifier: Apache-2.0
// Thousands of runs in which everything goes wrong, checked against the promises of
// tests/README.md. SIMULATION_SEEDS=N takes so many; SIMULATION_SEED=N runs that one alone and
// tells what happens in it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/testing/temporary_folder.h"
#include "tests/simulation/world.h"

namespace attnrl::scheduler::simulation {
namespace {

constexpr uint64_t kSeeds = 500;

uint64_t Setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Outcome {
  absl::Status verdict;
  std::map<uint32_t, TrainingBatch> batches;
  std::map<std::string, int> faults;
};

// The log-probs say who sampled what, which is another one in each world.
Outcome RunWorld(const WorldOptions& options) {
  const TemporaryFolder folder(TemporaryFolder::On::kMemory);
  if (!options.tells) ::testing::internal::CaptureStderr();
  Outcome outcome;
  {
    World world(folder.path(), options);
    outcome = {world.Run(), world.history().batches(), world.faults()};
  }
  if (!options.tells) ::testing::internal::GetCapturedStderr();
  for (auto& [number, batch] : outcome.batches) {
    for (TrainingSample& sample : batch.samples) sample.logprobs.clear();
  }
  return outcome;
}

std::string Replay(uint64_t seed) {
  return absl::StrCat("to see it again: SIMULATION_SEED=", seed,
                      " build/tests/simulation_test --gtest_filter='*KeepsItsPromises'");
}

TEST(SimulatedWorld, KeepsItsPromises) {
  const Outcome calm = RunWorld({.faults = false});
  ASSERT_TRUE(calm.verdict.ok()) << calm.verdict;
  const uint64_t only = Setting("SIMULATION_SEED", 0);
  const uint64_t first = only > 0 ? only : 1;
  const uint64_t last = only > 0 ? only : Setting("SIMULATION_SEEDS", kSeeds);
  std::map<std::string, int> faults;
  for (uint64_t seed = first; seed <= last; ++seed) {
    const Outcome outcome = RunWorld({.seed = seed, .tells = only > 0});
    ASSERT_TRUE(outcome.verdict.ok()) << outcome.verdict << "\n" << Replay(seed);
    ASSERT_EQ(outcome.batches, calm.batches) << "other batches\n" << Replay(seed);
    for (const auto& [name, count] : outcome.faults) faults[name] += count;
  }
  if (only > 0) return;
  EXPECT_EQ(faults.size(), 14u) << "a kind of fault never happened";
}

TEST(SimulatedWorld, IsAFunctionOfItsSeed) {
  const Outcome once = RunWorld({.seed = 5});
  const Outcome again = RunWorld({.seed = 5});
  EXPECT_EQ(once.faults, again.faults);
  EXPECT_EQ(once.batches, again.batches);
}

// The checker notices what a broken fence does, within some seeds.
class BrokenWorldTest : public ::testing::TestWithParam<std::pair<Broken, const char*>> {};

TEST_P(BrokenWorldTest, IsFoundOut) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const Outcome outcome = RunWorld({.seed = seed, .broken = GetParam().first});
    if (absl::StrContains(outcome.verdict.message(), GetParam().second)) return;
  }
  FAIL() << "nobody has noticed";
}

INSTANTIATE_TEST_SUITE_P(
    All, BrokenWorldTest,
    ::testing::Values(std::pair{Broken::kForgetsSchedulerEpoch,
                                "promise 2: a lease has one holder"},
                      std::pair{Broken::kForgetsLearnerEpoch, "the learner that registered last"},
                      std::pair{Broken::kForgetsTransactions, "promise 1: nothing acknowledged"}));

}  // namespace
}  // namespace attnrl::scheduler::simulation
