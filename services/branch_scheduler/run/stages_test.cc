// SPDX-License-Identifier: Apache-2.0
// Runs whose batches change from a step on.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using Json = nlohmann::json;

TEST(StagedRun, SamplesEachBatchAsItsStageSaysAcrossRestarts) {
  for (const tree::Criterion criterion : {tree::Criterion::kNone, tree::Criterion::kEarliest}) {
    Simulation run({.criterion = criterion, .steps = 6, .problems = 3, .responses = 4});
    run.options().later = {
        {2, {.batch_problems = 2, .initial_responses = 5, .max_response_tokens = 64}},
        {4, {.batch_problems = 4, .initial_responses = 2, .max_response_tokens = 32}}};
    ASSERT_TRUE(run.Start().ok());
    bool killed = false;
    bool goes_on = true;
    std::set<uint32_t> seen;
    for (int round = 0; goes_on && round < 1000; ++round) {
      // Every other round the workers keep what they got, to be looked at.
      for (SimulatedWorker& worker : run.workers()) worker.silent = round % 2 == 0;
      goes_on = run.Tick();
      for (const SimulatedWorker& worker : run.workers()) {
        for (const auto& [lease, item] : worker.leases) {
          const uint32_t whole = item.samples[0].split + item.samples[0].max_new_tokens;
          EXPECT_EQ(whole, run.options().At(item.batch).max_response_tokens) << item.batch;
          seen.insert(item.batch);
        }
      }
      if (killed || run.version < 3) continue;
      killed = true;
      run.Kill();
      ASSERT_TRUE(run.Start().ok());
    }
    EXPECT_FALSE(goes_on);
    EXPECT_EQ(seen.size(), 6u);
    for (uint32_t b = 0; b < 6; ++b) {
      const std::vector<Json> records = run.Trees(b);
      const StageOptions& stage = run.options().At(b);
      EXPECT_EQ(records.size(), stage.batch_problems) << b;
      for (const Json& record : records) {
        EXPECT_EQ(record["responses"].size(), stage.initial_responses) << b;
      }
    }
  }
}

std::vector<std::string> Ids(const Simulation& run, uint32_t batch) {
  std::vector<std::string> ids;
  for (const Json& record : run.Trees(batch)) ids.push_back(record["problem_id"]);
  return ids;
}

TEST(StagedRun, OtherDataBeginWithAnEpochOfTheirOwnWhateverOverlaps) {
  for (const bool killed : {false, true}) {
    // Three problems a batch: two of seven, then epochs of five, then seven in another order.
    Simulation run({.steps = 9, .problems = 3, .responses = 2, .other_data_from = 2});
    run.options().later[7] = run.options().first;
    run.options().later[7].data = 2;
    ASSERT_TRUE(run.Start().ok());
    for (int round = 0; run.Tick() && round < 1000; ++round) {
      // The batches behind the change are sampled while those before it are trained.
      if (!killed || round % 3 != 2) continue;
      run.Kill();
      ASSERT_TRUE(run.Start().ok());
    }
    std::map<uint32_t, std::vector<std::string>> ids;
    for (uint32_t b = 0; b < 9; ++b) ids[b] = Ids(run, b);
    const auto part = [&](uint32_t from, uint32_t to) {
      std::vector<std::string> all;
      for (uint32_t b = from; b < to; ++b) all.insert(all.end(), ids[b].begin(), ids[b].end());
      return all;
    };
    const std::vector<std::string> first = part(0, 2), other = part(2, 7), again = part(7, 9);
    EXPECT_EQ(std::set(first.begin(), first.end()).size(), 6u) << "of one epoch";
    for (size_t epoch = 0; epoch < 3; ++epoch) {
      const auto begin = other.begin() + static_cast<std::ptrdiff_t>(5 * epoch);
      EXPECT_EQ(std::set(begin, begin + 5), (std::set<std::string>{"o0", "o1", "o2", "o3", "o4"}));
    }
    EXPECT_EQ(std::set(again.begin(), again.end()).size(), 6u);
    EXPECT_NE(again, first);
    for (const std::string& id : again) EXPECT_EQ(id[0], 'p') << id;
  }
}

TEST(StagedRun, AnAdaptiveBatchBeginsAnewWhereTheTreesChangeAndGoesOnWhereTheyDoNot) {
  const auto sizes = [](std::map<uint32_t, StageOptions> later, uint32_t other_data_from = 0) {
    Simulation run({.criterion = tree::Criterion::kFci,
                    .steps = 10,
                    .problems = 4,
                    .responses = 2,
                    .other_data_from = other_data_from,
                    .adaptive = true});
    if (other_data_from == 0) run.options().later = std::move(later);
    EXPECT_TRUE(run.Start().ok());
    EXPECT_TRUE(run.RunToEnd());
    std::vector<size_t> all;
    for (uint32_t b = 0; b < 10; ++b) all.push_back(run.Trees(b).size());
    return all;
  };
  const std::vector<size_t> plain = sizes({});
  EXPECT_NE(plain[6], 4u) << "the size has moved by then";
  EXPECT_EQ(sizes({{6, {.batch_problems = 4, .initial_responses = 2, .max_response_tokens = 65}}}),
            plain);
  const StageOptions other_trees = {
      .batch_problems = 4, .initial_responses = 3, .max_response_tokens = 64};
  for (const std::vector<size_t>& anew : {sizes({{6, other_trees}}), sizes({}, 6)}) {
    EXPECT_TRUE(std::equal(plain.begin(), plain.begin() + 6, anew.begin()));
    EXPECT_EQ(anew[6], 4u);
    EXPECT_EQ(anew[7], 4u);
  }
}

}  // namespace
}  // namespace attnrl::scheduler::testing
