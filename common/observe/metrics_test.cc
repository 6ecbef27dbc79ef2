// SPDX-License-Identifier: Apache-2.0
#include "common/observe/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Name(const MetricName& metric) { return std::string(metric.name); }

// Series that Prometheus stores for one metric at most, "other" included.
size_t MostSeries(const MetricName& metric) {
  size_t series = metric.type == MetricType::kHistogram ? metric.buckets.size() + 3 : 1;
  for (const MetricLabel& label : metric.labels) series *= label.values.size() + 1;
  return series;
}

// What an HTTP client gets for `path`.
std::string Fetch(const std::string& address, const std::string& path) {
  const size_t colon = address.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  EXPECT_EQ(::inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr), 1);
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)), 0);
  const std::string request =
      absl::StrCat("GET ", path, " HTTP/1.0\r\nHost: ", address, "\r\n\r\n");
  EXPECT_EQ(::write(socket, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = ::read(socket, buffer, sizeof(buffer))) > 0) {
    answer.append(buffer, static_cast<size_t>(count));
  }
  ::close(socket);
  return answer;
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

TEST(Metrics, CountsByLabel) {
  const Counter graded = GetCounter(kVerifierResultsTotal, {"graded"});
  const Counter crash = GetCounter(kVerifierResultsTotal, {"crash"});
  const double before = graded.Value();
  const double untouched = crash.Value();
  Count(kVerifierResultsTotal, {"graded"}, 2);
  EXPECT_EQ(graded.Value(), before + 2);
  EXPECT_EQ(crash.Value(), untouched);
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
  Observe(kLearnerStepPhaseSeconds, {"forward"}, 0.3);
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("# HELP attnrl_scheduler_open_items Work items"));
  EXPECT_THAT(
      text, HasSubstr("# TYPE attnrl_scheduler_open_items gauge\nattnrl_scheduler_open_items 12"));
  EXPECT_THAT(
      text, HasSubstr("attnrl_learner_step_phase_seconds_bucket{phase=\"forward\",le=\"0.5\"} 1"));
}

TEST(MetricsServer, ServesTheMetricsOnAFreePort) {
  const auto server = MetricsServer::Start("127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT((*server)->address(), StartsWith("127.0.0.1:"));
  EXPECT_NE((*server)->address(), "127.0.0.1:0");
  const std::string answer = Fetch((*server)->address(), "/metrics");
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_THAT(answer, HasSubstr("attnrl_build_info{"));
}

TEST(MetricsServer, RefusesAnAddressInUseByName) {
  const auto first = MetricsServer::Start("127.0.0.1:0");
  ASSERT_TRUE(first.ok());
  const absl::Status status = MetricsServer::Start((*first)->address()).status();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              StartsWith("metrics address " + (*first)->address() + ": in use"));
}

TEST(MetricsServer, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "localhost", "127.0.0.1:http", "127.0.0.1:70000", ":9090"}) {
    EXPECT_TRUE(IsInputError(MetricsServer::Start(address).status())) << address;
  }
}

}  // namespace
}  // namespace attnrl::observe
