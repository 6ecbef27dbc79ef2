// SPDX-License-Identifier: Apache-2.0
// Adaptive sampling of whole runs, recomputed from what they recorded.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using Json = nlohmann::json;

constexpr uint32_t kSteps = 9;

SimulationOptions Adaptive(pipeline::PipelineMode mode = pipeline::PipelineMode::kOverlapped) {
  SimulationOptions options;
  options.criterion = tree::Criterion::kFci;
  options.adaptive = true;
  options.mode = mode;
  options.steps = kSteps;
  options.problems = 4;
  options.responses = 2;  // a quarter of the problems is solved
  return options;
}

bool SolvedByAll(const Json& record) {
  return std::all_of(record["responses"].begin(), record["responses"].end(),
                     [](const Json& response) { return response["reward"] == 1.0; });
}

double Score(const Json& record) {
  double total = 0;
  for (const Json& response : record["responses"]) {
    double sum = 0;
    for (size_t k = 1; k < response["fci"].size(); ++k) sum += response["fci"][k].get<double>();
    total += sum / static_cast<double>(response["fci"].size() - 1);
  }
  return total / static_cast<double>(record["responses"].size());
}

TEST(AdaptiveRun, KeepsASolvedProblemWhenItsScoreIsAboveTheMeanOfAllSoFar) {
  Simulation run(Adaptive());
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  double sum = 0;
  int count = 0, kept = 0, filtered = 0;
  for (uint32_t b = 0; b < kSteps; ++b) {
    const std::vector<Json> records = run.Trees(b);
    for (const Json& record : records) {
      if (!SolvedByAll(record)) continue;
      sum += Score(record);
      ++count;
    }
    for (const Json& record : records) {
      const bool dropped = SolvedByAll(record) && !(Score(record) > sum / count);
      EXPECT_EQ(record["kept"] == "filtered", dropped) << b << " " << record["position"];
      (dropped ? filtered : kept) += SolvedByAll(record) ? 1 : 0;
      if (!dropped) continue;
      for (const Json& response : record["responses"]) EXPECT_FALSE(response["expanded"]);
    }
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(filtered, 0);
}

class BatchSizeTest : public ::testing::TestWithParam<pipeline::PipelineMode> {};

TEST_P(BatchSizeTest, FollowsTheNewestBatchThatIsTrainedIntoItsWeights) {
  Simulation run(Adaptive(GetParam()));
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  const uint32_t behind = GetParam() == pipeline::PipelineMode::kOverlapped   ? 3
                          : GetParam() == pipeline::PipelineMode::kSequential ? 2
                                                                              : 1;
  const double target = 4 * 2 * 5;
  double real = 4;
  std::set<size_t> sizes;
  for (uint32_t b = 0; b < kSteps; ++b) {
    if (b >= behind) {
      const Json known = Json::parse(run.Lines("metrics.jsonl")[b - behind]);
      const double valid = std::max(1.0, known["valid_samples"].get<double>());
      real = 0.9 * real + 0.1 * std::floor(known["problems"].get<double>() * target / valid);
    }
    const double expected = std::clamp(std::ceil(real), 1.0, 7.0);
    EXPECT_EQ(run.Trees(b).size(), static_cast<size_t>(expected)) << b;
    sizes.insert(run.Trees(b).size());
  }
  EXPECT_GT(sizes.size(), 1u) << "the size never changed";
}

INSTANTIATE_TEST_SUITE_P(Modes, BatchSizeTest,
                         ::testing::Values(pipeline::PipelineMode::kOverlapped,
                                           pipeline::PipelineMode::kSequential,
                                           pipeline::PipelineMode::kOnPolicy));

TEST(AdaptiveRun, AMeanThatGoesOnThroughAnExtensionIsThatOfTheWholeRun) {
  SimulationOptions options = Adaptive();
  options.steps = 4;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  run.Kill();
  run.options().steps = 6;
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  double sum = 0;
  int count = 0;
  for (uint32_t b = 0; b < 6; ++b) {
    const std::vector<Json> records = run.Trees(b);
    for (const Json& record : records) {
      if (!SolvedByAll(record)) continue;
      sum += Score(record);
      ++count;
    }
    for (const Json& record : records) {
      EXPECT_EQ(record["kept"] == "filtered",
                SolvedByAll(record) && !(Score(record) > sum / count));
    }
  }
  EXPECT_GT(count, 2);
}

TEST(AdaptiveRun, AResultWhoseStepsAreNotThoseOfItsTokensIsRefused) {
  Simulation run(Adaptive());
  ASSERT_TRUE(run.Start().ok());
  run.workers()[0].silent = true;
  run.workers()[1].absent = true;
  while (run.workers()[0].leases.empty()) run.Tick();
  SimulatedWorker& worker = run.workers()[0];
  const auto [lease, item] = *worker.leases.begin();
  const ItemResult good = Simulation::Sample(item, lease, false);
  std::vector<ItemResult> bad(4, good);
  bad[0].samples[0].steps.back().second += 1;
  bad[1].samples[0].fci.pop_back();
  bad[2].samples[0].fci[0] = std::nanf("");
  bad[3].samples[0].steps.clear();
  bad[3].samples[0].fci.clear();
  for (const ItemResult& result : bad) {
    worker.verdicts.clear();
    ASSERT_TRUE(run.scheduler().Receive(worker.session, result).ok());
    for (int i = 0; i < 3; ++i) run.Tick();
    ASSERT_TRUE(worker.verdicts.contains(lease));
    EXPECT_NE(worker.verdicts[lease], AckVerdict::kAccepted);
  }
}

}  // namespace
}  // namespace attnrl::scheduler::testing
