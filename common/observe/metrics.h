// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/observe/metric_names.h"

namespace prometheus {
class Counter;
class Exposer;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace attnrl::observe {

// The process's metrics. There are only those of metric_names.h; label values come in the order of
// the metric's labels, and one that is not in the label's list counts as "other", so the number of
// series is bounded whatever happens. Everything here is thread-safe.
//   observe::Count(observe::kVerifierResultsTotal, {"graded"});
//   observe::Set(observe::kSchedulerOpenItems, {}, open);
//   observe::Observe(observe::kLearnerStepPhaseSeconds, {"train"}, seconds);
using LabelValues = std::initializer_list<std::string_view>;
void Count(const MetricName& metric, LabelValues labels = {}, double amount = 1);
void Set(const MetricName& metric, LabelValues labels, double value);
void Observe(const MetricName& metric, LabelValues labels, double value);

// The same without the look-up, for hot paths: keep the handle, it stays valid until the process
// ends.
class Counter {
 public:
  explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
  void Add(double amount = 1) const;
  double Value() const;

 private:
  prometheus::Counter* counter_;
};
class Gauge {
 public:
  explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  void Set(double value) const;
  void Add(double amount) const;
  double Value() const;

 private:
  prometheus::Gauge* gauge_;
};
class Histogram {
 public:
  explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  void Observe(double value) const;

 private:
  prometheus::Histogram* histogram_;
};
Counter GetCounter(const MetricName& metric, LabelValues labels = {});
// Makes the counter's series, of each value of its one label, if it has one. Where an alert asks
// for an increase: Prometheus sees none from no series to 1.
void StartAtZero(const MetricName& counter);
Gauge GetGauge(const MetricName& metric, LabelValues labels = {});
Histogram GetHistogram(const MetricName& metric, LabelValues labels = {});

// `update` is called before each reading of the metrics, by the thread that reads, and never
// removed: for gauges of what changes elsewhere, as a file does.
void BeforeReading(std::function<void()> update);

// What /metrics says, for tests.
std::string MetricsText();

// Serves /metrics over HTTP until it is destroyed.
class MetricsServer {
 public:
  // "host:port", port 0 takes a free one. Sets attnrl_build_info. InputError naming the address
  // when it is in use or no address of this machine.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const std::string& address);
  ~MetricsServer();

  // "host:port" as bound, what goes into RUN_DIR/logs/<name>.metrics.
  const std::string& address() const { return address_; }

 private:
  MetricsServer(std::unique_ptr<prometheus::Exposer> exposer, std::string address);

  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string address_;
};

}  // namespace attnrl::observe
