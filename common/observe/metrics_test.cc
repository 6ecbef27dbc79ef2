// SPDX-License-Identifier: Apache-2.0
#include "common/observe/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/philox.h"

namespace attnrl::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The lines of /metrics on one metric, without its HELP and TYPE.
std::vector<std::string> Series(const MetricName& metric) {
  std::vector<std::string> series;
  for (const auto& line : std::vector<std::string>(absl::StrSplit(MetricsText(), '\n'))) {
    if (line.rfind(metric.name, 0) == 0) series.push_back(line);
  }
  return series;
}

// Makes the series of these labels, whatever the metric's type.
void Touch(const MetricName& metric, LabelValues labels) {
  if (metric.type == MetricType::kCounter) Count(metric, labels);
  if (metric.type == MetricType::kGauge) Set(metric, labels, 1);
  if (metric.type == MetricType::kHistogram) Observe(metric, labels, 1);
}

TEST(Metrics, AreBroughtUpToDateWheneverTheyAreRead) {
  static int looked = 0;
  static bool counts = true;  // it can't be removed
  BeforeReading([] {
    if (counts) Set(kRpcCertificateExpiry, {}, ++looked);
  });
  for (const char* value : {" 1", " 2"}) {
    EXPECT_TRUE(absl::EndsWith(Series(kRpcCertificateExpiry).at(0), value));
  }
  counts = false;
}

TEST(Metrics, CountsByLabel) {
  const Counter graded = GetCounter(kVerifierResultsTotal, {"graded"});
  const Counter crash = GetCounter(kVerifierResultsTotal, {"crash"});
  const double before = graded.Value();
  const double untouched = crash.Value();
  Count(kVerifierResultsTotal, {"graded"}, 2);
  EXPECT_EQ(graded.Value(), before + 2);
  EXPECT_EQ(crash.Value(), untouched);
}

TEST(Metrics, OfACounterThatStartsAtZeroEveryLabelHasASeries) {
  StartAtZero(kSchedulerFencedWritesTotal);
  for (const std::string_view reason : label_values::kFenceReasons) {
    EXPECT_THAT(MetricsText(), HasSubstr("attnrl_scheduler_fenced_writes_total{reason=\"" +
                                         std::string(reason) + "\"} 0"));
  }
  StartAtZero(kLearnerNonfiniteStepsTotal);
  EXPECT_THAT(MetricsText(), HasSubstr("attnrl_learner_nonfinite_steps_total 0"));
}

TEST(Metrics, ACounterThatStartsAtZeroAgainKeepsItsValue) {
  const Counter steps = GetCounter(kLearnerNonfiniteStepsTotal);
  steps.Add(2);
  const double before = steps.Value();
  StartAtZero(kLearnerNonfiniteStepsTotal);
  EXPECT_EQ(steps.Value(), before);
}

TEST(Metrics, PutUnknownLabelsTogether) {
  const Counter other = GetCounter(kVerifierResultsTotal, {"other"});
  const double before = other.Value();
  for (int i = 0; i < 100; ++i) Count(kVerifierResultsTotal, {absl::StrCat("model text ", i)});
  EXPECT_EQ(other.Value(), before + 100);
  EXPECT_THAT(MetricsText(), Not(HasSubstr("model text")));
}

TEST(Metrics, AreSerialisedWithHelpAndType) {
  Set(kSchedulerOpenItems, {}, 12);
  Observe(kLearnerStepPhaseSeconds, {"train"}, 0.3);
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("# HELP attnrl_scheduler_open_items Work items"));
  EXPECT_THAT(
      text, HasSubstr("# TYPE attnrl_scheduler_open_items gauge\nattnrl_scheduler_open_items 12"));
  EXPECT_THAT(text,
              HasSubstr("attnrl_learner_step_phase_seconds_bucket{phase=\"train\",le=\"0.5\"} 1"));
}

TEST(Metrics, AreAllServedWithTheirHelpAndType) {
  const char* types[] = {"counter", "gauge", "histogram"};
  for (const MetricName* metric : kAllMetrics) {
    const size_t labels = metric->labels.size();
    ASSERT_LE(labels, 3u);
    if (labels == 0) Touch(*metric, {});
    if (labels == 1) Touch(*metric, {"x"});
    if (labels == 2) Touch(*metric, {"x", "y"});
    if (labels == 3) Touch(*metric, {"x", "y", "z"});
    const std::string name(metric->name);
    EXPECT_THAT(MetricsText(),
                HasSubstr(absl::StrCat("# HELP ", name, " ", std::string(metric->help), "\n# TYPE ",
                                       name, " ", types[static_cast<size_t>(metric->type)], "\n")));
    EXPECT_FALSE(Series(*metric).empty()) << metric->name;
  }
}

TEST(Metrics, HaveBoundedSeriesWhateverTheLabelsAre) {
  RandomStream random({.seed = 5});
  const auto& labels = kRpcMessageBytes.labels;
  // A value of the label's list, or bytes that could end a line or a quote.
  const auto draw = [&](const MetricLabel& label) {
    const uint64_t at = random.Below(2 * label.values.size());
    if (at < label.values.size()) return std::string(label.values[at]);
    std::string text = "\"\n\\{} attnrl_x 1\n";
    for (int i = 0; i < 4; ++i) text += static_cast<char>(random.Below(256));
    return text;
  };
  for (int i = 0; i < 10'000; ++i) {
    Observe(kRpcMessageBytes, {draw(labels[0]), draw(labels[1]), draw(labels[2])}, 1);
  }
  size_t most = kRpcMessageBytes.buckets.size() + 3;  // +Inf, sum and count
  for (const MetricLabel& label : labels) most *= label.values.size() + 1;
  const std::vector<std::string> series = Series(kRpcMessageBytes);
  EXPECT_EQ(series.size(), most) << "10,000 draws meet each of the 144 combinations";
  EXPECT_EQ(std::set<std::string>(series.begin(), series.end()).size(), series.size());
  for (const std::string& line : series) EXPECT_THAT(line, Not(HasSubstr("attnrl_x"))) << line;
}

TEST(Histogram, CountsAValueInEveryBucketThatItDoesNotExceed) {
  const Histogram histogram = GetHistogram(kLearnerStepPhaseSeconds, {"publish"});
  // A bound belongs to its bucket.
  for (const double value : {0.0, 0.001, 0.0011, 60.0, 61.0}) histogram.Observe(value);
  std::string text;
  for (const std::string& line : Series(kLearnerStepPhaseSeconds)) {
    if (absl::StrContains(line, "phase=\"publish\"")) absl::StrAppend(&text, line, "\n");
  }
  const std::string name = "attnrl_learner_step_phase_seconds";
  std::string expected =
      name + "_count{phase=\"publish\"} 5\n" + name + "_sum{phase=\"publish\"} 121.0021\n";
  const std::vector<std::pair<const char*, int>> buckets = {
      {"0.001", 2}, {"0.0025", 3}, {"0.005", 3}, {"0.01", 3}, {"0.025", 3}, {"0.05", 3},
      {"0.1", 3},   {"0.25", 3},   {"0.5", 3},   {"1", 3},    {"2.5", 3},   {"5", 3},
      {"10", 3},    {"25", 3},     {"60", 4},    {"+Inf", 5}};
  for (const auto& [bound, count] : buckets) {
    absl::StrAppend(&expected, name, "_bucket{phase=\"publish\",le=\"", bound, "\"} ", count, "\n");
  }
  EXPECT_EQ(text, expected);
}

TEST(Gauge, HoldsWhatWasSetLastAndWhatWasAddedSince) {
  const Gauge gauge = GetGauge(kVerifierInflight);
  gauge.Set(5);
  gauge.Add(2);
  gauge.Add(-4);
  EXPECT_EQ(gauge.Value(), 3);
  Set(kVerifierInflight, {}, -1.5);
  EXPECT_EQ(gauge.Value(), -1.5) << "a handle and its metric are one series";
  for (const auto& [value, text] : {std::pair(std::nan(""), "Nan"),
                                    std::pair(std::numeric_limits<double>::infinity(), "+Inf")}) {
    gauge.Set(value);
    EXPECT_EQ(Series(kVerifierInflight),
              std::vector<std::string>{std::string("attnrl_verifier_inflight ") + text});
  }
}

TEST(Counter, LosesNothingOfSeveralThreads) {
  const Counter counter = GetCounter(kSchedulerBatchesTotal);
  const double before = counter.Value();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&counter] {
      for (int i = 0; i < 5000; ++i) {
        counter.Add();
        Count(kSchedulerBatchesTotal);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.Value(), before + 40000);
}

}  // namespace
}  // namespace attnrl::observe
