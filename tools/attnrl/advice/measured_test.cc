// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/advice/measured.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;

void Event(std::ofstream& out, const std::string& kind, int batch, const std::string& worker,
           double start, double end) {
  out << absl::StrCat(R"({"kind":")", kind, R"(","batch":)", batch,
                      R"(,"item":1,"version":0,"worker":)",
                      worker.empty() ? "null" : "\"" + worker + "\"", R"(,"start":)", start,
                      R"(,"end":)", end, "}\n");
}

// Ten steps of 10 s: worker a samples for 8 s of each in pieces that overlap, b for 4; the learner
// trains for 5 and waits for 2.
void WriteRun(const std::string& folder, int steps) {
  std::ofstream(folder + "/config.yaml")
      << "model: {path: m}\ndata: {train: t.jsonl}\npipeline: {mode: sequential}\n"
      << "learner: {ranks: 2}\n";
  std::ofstream metrics(folder + "/metrics.jsonl"), events(folder + "/events.jsonl");
  for (int step = 0; step < steps; ++step) {
    metrics << R"({"step":)" << step << R"(,"generated_tokens":600,"seconds":{"step":10,)"
            << R"("rollout":9,"learn":5,"wait":2}})"
            << "\n";
    const double start = 1000 + 10 * step;
    Event(events, "initial", step, "a", start, start + 6);
    Event(events, "initial", step, "a", start + 1, start + 5);
    Event(events, "continuation", step, "a", start + 4, start + 8);
    Event(events, "continuation", step, "b", start, start + 4);
    Event(events, "grade", step, "", start, start + 100);
    Event(events, "sync", step, "", start + 9, start + 10);
  }
  metrics << R"({"step":99,)";  // it is being written
}

TEST(ReadMeasured, IsTheMeanOfTheStepsBehindTheFirstTwo) {
  const TemporaryFolder folder;
  WriteRun(folder.path(), 10);
  const auto measured = ReadMeasured(folder.path());
  ASSERT_TRUE(measured.ok()) << measured.status();
  EXPECT_EQ(measured->first_step, 2);
  EXPECT_EQ(measured->last_step, 9);
  EXPECT_EQ(measured->mode, pipeline::PipelineMode::kSequential);
  EXPECT_EQ(measured->workers, 2);
  EXPECT_EQ(measured->ranks, 2);
  EXPECT_NEAR(measured->step, 10, 1e-6);
  EXPECT_NEAR(measured->sampling, 6, 1e-6);
  EXPECT_NEAR(measured->longest, 6, 1e-6);
  EXPECT_NEAR(measured->train, 5, 1e-6);
  EXPECT_NEAR(measured->wait, 2, 1e-6);
  EXPECT_NEAR(measured->tokens, 600, 1e-6);
}

TEST(ReadMeasured, CountsTheNewestFiftySteps) {
  const TemporaryFolder folder;
  WriteRun(folder.path(), 80);
  const auto measured = ReadMeasured(folder.path());
  ASSERT_TRUE(measured.ok()) << measured.status();
  EXPECT_EQ(measured->first_step, 30);
  EXPECT_NEAR(measured->sampling, 6, 1e-6);
}

TEST(ReadMeasured, RefusesARunThatHasHardlyBegunAndWhatIsNoRun) {
  const TemporaryFolder folder;
  EXPECT_THAT(std::string(ReadMeasured(folder.path()).status().message()),
              HasSubstr("metrics.jsonl: is not there"));
  WriteRun(folder.path(), 5);
  EXPECT_THAT(std::string(ReadMeasured(folder.path()).status().message()),
              HasSubstr("metrics.jsonl: 3 steps can be counted; at least 4 behind the first 2"));
}

}  // namespace
}  // namespace attnrl::tools
