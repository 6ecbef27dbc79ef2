// SPDX-License-Identifier: Apache-2.0
#include "common/observe/metric_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace attnrl::observe {
namespace {

using ::testing::ElementsAreArray;
using ::testing::MatchesRegex;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAreArray;

std::string Name(const MetricName& metric) { return std::string(metric.name); }

std::string Source(const std::string& path) {
  std::ifstream file(ATTNRL_SOURCE_DIR "/" + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The first group of every match of `pattern` in `text`, in order.
std::vector<std::string> Matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  return {std::sregex_token_iterator(text.begin(), text.end(), regex, 1), {}};
}

// Series that Prometheus stores for one metric at most, "other" included.
size_t MostSeries(const MetricName& metric) {
  size_t series = metric.type == MetricType::kHistogram ? metric.buckets.size() + 3 : 1;
  for (const MetricLabel& label : metric.labels) series *= label.values.size() + 1;
  return series;
}

TEST(MetricNames, FollowTheRulesOfPrometheus) {
  std::set<std::string_view> names;
  for (const MetricName* metric : kAllMetrics) {
    EXPECT_TRUE(names.insert(metric->name).second) << metric->name << " is there twice";
    EXPECT_THAT(Name(*metric), StartsWith("attnrl_"));
    EXPECT_FALSE(metric->help.empty()) << metric->name;
    EXPECT_EQ(absl::EndsWith(Name(*metric), "_total"), metric->type == MetricType::kCounter)
        << metric->name;
    EXPECT_EQ(metric->buckets.empty(), metric->type != MetricType::kHistogram) << metric->name;
    EXPECT_TRUE(std::is_sorted(metric->buckets.begin(), metric->buckets.end())) << metric->name;
    EXPECT_TRUE(std::all_of(metric->name.begin(), metric->name.end(), [](char c) {
      return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    })) << metric->name;
    // Base units only, in full.
    for (const char* unit :
         {"_ms", "_milliseconds", "_micros", "_minutes", "_kb", "_mb", "_sec", "_percent"}) {
      EXPECT_FALSE(absl::EndsWith(Name(*metric), unit)) << metric->name;
    }
  }
}

TEST(MetricNames, HaveLabelsOfClosedLists) {
  for (const MetricName* metric : kAllMetrics) {
    std::set<std::string_view> labels;
    for (const MetricLabel& label : metric->labels) {
      EXPECT_TRUE(labels.insert(label.name).second) << metric->name;
      const std::set<std::string_view> values(label.values.begin(), label.values.end());
      EXPECT_EQ(values.size(), label.values.size()) << metric->name << " " << label.name;
      EXPECT_FALSE(values.contains("other"));
    }
  }
}

// A process serves one service, so of the labels service and method it has its own pairs only.
TEST(MetricNames, StayBelowTwoThousandSeriesAProcess) {
  constexpr size_t kMostMethodsAProcess = 8 + 2;
  const size_t pairs =
      (std::size(label_values::kServices) + 1) * (std::size(label_values::kMethods) + 1);
  size_t series = 0;
  for (const MetricName* metric : kAllMetrics) {
    const bool by_method = metric->labels.size() >= 2 && metric->labels[1].name == "method";
    series += by_method ? MostSeries(*metric) / pairs * kMostMethodsAProcess : MostSeries(*metric);
  }
  EXPECT_LT(series, 2000u);
}

TEST(MetricNames, AreAllInTheList) {
  const std::string header = Source("common/observe/metric_names.h");
  EXPECT_THAT(Matches(header, "constexpr MetricName (k\\w+)"),
              ElementsAreArray(Matches(header, "&(k\\w+)[,}]")));
  EXPECT_EQ(kAllMetrics.size(), Matches(header, "&(k\\w+)[,}]").size());
}

TEST(MetricNames, HaveHelpOfOneShortSentence) {
  std::set<std::string_view> helps;
  for (const MetricName* metric : kAllMetrics) {
    const std::string help(metric->help);
    // Prometheus would take a backslash for an escape.
    EXPECT_THAT(help, MatchesRegex("[A-Z][^\n\\\\]{9,89}[^.\n\\\\ ]")) << metric->name;
    EXPECT_TRUE(helps.insert(metric->help).second) << help << " is there twice";
  }
}

TEST(MetricNames, HaveTheBucketsOfTheirUnit) {
  const std::map<std::string, std::span<const double>> units = {{"seconds", kSecondsBuckets},
                                                                {"bytes", kBytesBuckets},
                                                                {"tokens", kTokenBuckets},
                                                                {"steps", kStalenessBuckets}};
  for (const MetricName* metric : kAllMetrics) {
    if (metric->type != MetricType::kHistogram) continue;
    const std::string unit = Name(*metric).substr(metric->name.rfind('_') + 1);
    ASSERT_TRUE(units.contains(unit)) << metric->name;
    EXPECT_EQ(metric->buckets.data(), units.at(unit).data()) << metric->name;
  }
  for (const auto& [unit, buckets] : units) {
    // Strictly ascending: two equal bounds would be one series twice.
    EXPECT_EQ(std::adjacent_find(buckets.begin(), buckets.end(), std::greater_equal<>()),
              buckets.end())
        << unit;
    EXPECT_TRUE(std::isfinite(buckets.back())) << "+Inf is added to every histogram";
  }
}

TEST(MetricNames, LeaveAloneWhatPrometheusKeepsForItself) {
  for (const MetricName* metric : kAllMetrics) {
    for (const char* suffix : {"_bucket", "_count", "_sum", "_created"}) {
      EXPECT_FALSE(absl::EndsWith(Name(*metric), suffix)) << metric->name;
    }
    EXPECT_EQ(absl::EndsWith(Name(*metric), "_info"), metric == &kBuildInfo) << metric->name;
    for (const MetricLabel& label : metric->labels) {
      const std::string name(label.name);
      EXPECT_THAT(name, MatchesRegex("[a-z][a-z_]*[a-z]")) << metric->name;
      for (const char* reserved : {"le", "quantile", "job", "instance"}) EXPECT_NE(name, reserved);
      for (const std::string_view value : label.values) {
        EXPECT_THAT(std::string(value), MatchesRegex("[A-Za-z0-9_.]+")) << metric->name;
      }
    }
  }
}

std::vector<std::string> Texts(std::span<const std::string_view> values) {
  return {values.begin(), values.end()};
}

TEST(MetricLabels, AreTheServicesAndMethodsOfTheProtocol) {
  std::string protocol;
  for (const char* name : {"branch_scheduler", "weight_store", "verifier"}) {
    protocol += Source(absl::StrCat("proto/attnrl/v1/", name, ".proto"));
  }
  EXPECT_THAT(Texts(label_values::kServices),
              UnorderedElementsAreArray(Matches(protocol, "\nservice (\\w+) \\{")));
  EXPECT_THAT(Texts(label_values::kMethods),
              UnorderedElementsAreArray(Matches(protocol, "\n  rpc (\\w+)\\(")));
  std::vector<std::string> verdicts = Matches(protocol, "\n    STATUS_(\\w+) =");
  for (std::string& verdict : verdicts) {
    std::transform(verdict.begin(), verdict.end(), verdict.begin(), ::tolower);
  }
  ASSERT_FALSE(verdicts.empty());
  EXPECT_EQ(verdicts[0], "unspecified");
  EXPECT_THAT(Texts(label_values::kVerdicts),
              UnorderedElementsAreArray(verdicts.begin() + 1, verdicts.end()));
}

TEST(MetricLabels, AreEveryCodeOfAStatus) {
  std::vector<std::string> codes;
  for (int code = 0; code <= 16; ++code) {
    codes.push_back(absl::StatusCodeToString(static_cast<absl::StatusCode>(code)));
  }
  EXPECT_THAT(Texts(label_values::kCodes), UnorderedElementsAreArray(codes));
}

// All that services and libraries say, without their tests.
std::string ProductCode() {
  std::string code;
  for (const char* folder : {"common", "services"}) {
    const std::filesystem::path root = std::filesystem::path(ATTNRL_SOURCE_DIR) / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const std::string path = entry.path().string();
      const bool source = absl::EndsWith(path, ".cc") || absl::EndsWith(path, ".h");
      if (!source || absl::EndsWith(path, "_test.cc") || absl::StrContains(path, "/testing/") ||
          absl::EndsWith(path, "metric_labels.h")) {
        continue;
      }
      std::ifstream file(path);
      code.append(std::istreambuf_iterator<char>(file), {});
    }
  }
  return code;
}

TEST(MetricLabels, HaveNoValueThatNothingSays) {
  const std::string code = ProductCode();
  ASSERT_FALSE(code.empty());
  // Compared with their source elsewhere here, or made by the build.
  const std::set<const std::string_view*> derived = {
      label_values::kVersion, label_values::kCuda,  label_values::kServices,
      label_values::kMethods, label_values::kCodes, label_values::kVerdicts};
  for (const MetricName* metric : kAllMetrics) {
    for (const MetricLabel& label : metric->labels) {
      if (derived.contains(label.values.data())) continue;
      for (const std::string_view value : label.values) {
        EXPECT_TRUE(absl::StrContains(code, "\"" + std::string(value) + "\""))
            << metric->name << " " << label.name << " " << value;
      }
    }
  }
}

TEST(MetricLabels, HaveTheProjectsVersion) {
  EXPECT_THAT(Texts(label_values::kVersion),
              UnorderedElementsAreArray(
                  Matches(Source("CMakeLists.txt"), "project\\(attnrl VERSION ([0-9.]+)")));
}

}  // namespace
}  // namespace attnrl::observe
