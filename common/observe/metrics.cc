// SPDX-License-Identifier: Apache-2.0
#include "common/observe/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/observe/registry.h"

namespace attnrl::observe {
namespace {

std::string Closed(const MetricLabel& label, std::string_view value) {
  const bool known =
      std::find(label.values.begin(), label.values.end(), value) != label.values.end();
  return std::string(known ? value : "other");
}

prometheus::Labels ToLabels(const MetricName& metric, LabelValues values) {
  assert(values.size() == metric.labels.size());
  prometheus::Labels out;
  auto value = values.begin();
  for (const MetricLabel& label : metric.labels) {
    out[std::string(label.name)] = Closed(label, value == values.end() ? "" : *value++);
  }
  return out;
}

// The registry with its families made once; never destroyed.
class Families {
 public:
  static Families& Get() {
    static auto* families = new Families;
    return *families;
  }

  prometheus::Counter* CounterOf(const MetricName& metric, LabelValues values) {
    return &counters_.at(metric.name)->Add(ToLabels(metric, values));
  }
  prometheus::Gauge* GaugeOf(const MetricName& metric, LabelValues values) {
    return &gauges_.at(metric.name)->Add(ToLabels(metric, values));
  }
  prometheus::Histogram* HistogramOf(const MetricName& metric, LabelValues values) {
    return &histograms_.at(metric.name)
                ->Add(ToLabels(metric, values), prometheus::Histogram::BucketBoundaries(
                                                    metric.buckets.begin(), metric.buckets.end()));
  }
  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  Families() {
    for (const MetricName* metric : kAllMetrics) {
      const std::string name(metric->name);
      const std::string help(metric->help);
      switch (metric->type) {
        case MetricType::kCounter:
          counters_[metric->name] =
              &prometheus::BuildCounter().Name(name).Help(help).Register(*registry_);
          break;
        case MetricType::kGauge:
          gauges_[metric->name] =
              &prometheus::BuildGauge().Name(name).Help(help).Register(*registry_);
          break;
        case MetricType::kHistogram:
          histograms_[metric->name] =
              &prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_);
          break;
      }
    }
  }

  // Filled by the constructor, then only read; families and series lock themselves.
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  std::map<std::string_view, prometheus::Family<prometheus::Counter>*> counters_;
  std::map<std::string_view, prometheus::Family<prometheus::Gauge>*> gauges_;
  std::map<std::string_view, prometheus::Family<prometheus::Histogram>*> histograms_;
};

// The registry, brought up to date by whoever asked for that.
class UpdatedRegistry final : public prometheus::Collectable {
 public:
  void Add(std::function<void()> update) {
    absl::MutexLock lock(&mutex_);
    updates_.push_back(std::move(update));
  }
  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<std::function<void()>> updates;
    {
      absl::MutexLock lock(&mutex_);
      updates = updates_;
    }
    for (const auto& update : updates) update();
    return Families::Get().registry()->Collect();
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<std::function<void()>> updates_ ABSL_GUARDED_BY(mutex_);
};

const std::shared_ptr<UpdatedRegistry>& Updated() {
  static const auto* registry = new auto(std::make_shared<UpdatedRegistry>());
  return *registry;
}

}  // namespace

std::shared_ptr<prometheus::Collectable> Readings() { return Updated(); }

void BeforeReading(std::function<void()> update) { Updated()->Add(std::move(update)); }

void Counter::Add(double amount) const { counter_->Increment(amount); }
double Counter::Value() const { return counter_->Value(); }
void Gauge::Set(double value) const { gauge_->Set(value); }
void Gauge::Add(double amount) const { gauge_->Increment(amount); }
double Gauge::Value() const { return gauge_->Value(); }
void Histogram::Observe(double value) const { histogram_->Observe(value); }

Counter GetCounter(const MetricName& metric, LabelValues labels) {
  return Counter(Families::Get().CounterOf(metric, labels));
}
Gauge GetGauge(const MetricName& metric, LabelValues labels) {
  return Gauge(Families::Get().GaugeOf(metric, labels));
}
Histogram GetHistogram(const MetricName& metric, LabelValues labels) {
  return Histogram(Families::Get().HistogramOf(metric, labels));
}

void StartAtZero(const MetricName& counter) {
  assert(counter.labels.size() <= 1);
  if (counter.labels.empty()) GetCounter(counter);
  for (const MetricLabel& label : counter.labels) {
    for (const std::string_view value : label.values) GetCounter(counter, {value});
  }
}

void Count(const MetricName& metric, LabelValues labels, double amount) {
  GetCounter(metric, labels).Add(amount);
}
void Set(const MetricName& metric, LabelValues labels, double value) {
  GetGauge(metric, labels).Set(value);
}
void Observe(const MetricName& metric, LabelValues labels, double value) {
  GetHistogram(metric, labels).Observe(value);
}

std::string MetricsText() { return prometheus::TextSerializer().Serialize(Updated()->Collect()); }

}  // namespace attnrl::observe
