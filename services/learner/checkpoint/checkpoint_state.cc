// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/checkpoint_state.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/json/json.h"
#include "common/json/json_words.h"

namespace attnrl::learner {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using scheduler::Span;
using scheduler::TrainStatistics;

constexpr int kStateFormat = 1;

ordered_json Number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

double NumberOrNan(const json& value) { return value.is_null() ? NAN : value.get<double>(); }

ordered_json SpanJson(const std::optional<Span>& span) {
  if (!span) return nullptr;
  return ordered_json::array({span->start, span->end});
}

std::optional<Span> ParseSpan(const json& value) {
  if (value.is_null()) return std::nullopt;
  const double start = value.at(0).get<double>();
  // Turned round where the wall clock was set back, in checkpoints of a learner that trusted it;
  // the scheduler would refuse the commit that is made again from one.
  return Span{start, std::max(start, value.at(1).get<double>())};
}

// The fields of the statistics that are means, by name.
struct MeanField {
  const char* name;
  double TrainStatistics::*field;
};
constexpr MeanField kMeans[] = {
    {"loss", &TrainStatistics::loss},
    {"kl", &TrainStatistics::kl},
    {"entropy", &TrainStatistics::entropy},
    {"ratio_max", &TrainStatistics::ratio_max},
    {"clip_low", &TrainStatistics::clip_low},
    {"clip_high", &TrainStatistics::clip_high},
    {"grad_norm", &TrainStatistics::grad_norm},
    {"learning_rate", &TrainStatistics::learning_rate},
    {"wait_seconds", &TrainStatistics::wait_seconds},
};
// Not in checkpoints that were made before there were these.
constexpr MeanField kLaterMeans[] = {
    {"importance_mean", &TrainStatistics::importance_mean},
    {"importance_max", &TrainStatistics::importance_max},
    {"importance_truncated", &TrainStatistics::importance_truncated},
    {"effective_samples", &TrainStatistics::effective_samples},
    {"behaviour_k1", &TrainStatistics::behaviour_k1},
    {"behaviour_k3", &TrainStatistics::behaviour_k3},
};

ordered_json StatisticsJson(const TrainStatistics& statistics) {
  ordered_json value;
  for (const MeanField& mean : kMeans) value[mean.name] = Number(statistics.*mean.field);
  for (const MeanField& mean : kLaterMeans) value[mean.name] = Number(statistics.*mean.field);
  value["trained_tokens"] = statistics.trained_tokens;
  value["trained_tokens_unpacked"] = statistics.trained_tokens_unpacked;
  value["optimizer_steps"] = statistics.optimizer_steps;
  value["nonfinite_steps"] = statistics.nonfinite_steps;
  value["train"] = SpanJson(statistics.train);
  value["sync"] = SpanJson(statistics.sync);
  return value;
}

TrainStatistics ParseStatistics(const json& value) {
  TrainStatistics statistics;
  for (const MeanField& mean : kMeans) statistics.*mean.field = NumberOrNan(value.at(mean.name));
  for (const MeanField& mean : kLaterMeans) {
    statistics.*mean.field = NumberOrNan(value.value(mean.name, json()));
  }
  statistics.trained_tokens = value.at("trained_tokens").get<uint64_t>();
  statistics.trained_tokens_unpacked = value.at("trained_tokens_unpacked").get<uint64_t>();
  statistics.optimizer_steps = value.at("optimizer_steps").get<uint32_t>();
  statistics.nonfinite_steps = value.at("nonfinite_steps").get<uint32_t>();
  statistics.train = ParseSpan(value.at("train"));
  statistics.sync = ParseSpan(value.at("sync"));
  return statistics;
}

ordered_json AccuracyJson(const RecentAccuracy& accuracy) {
  return {{"right", accuracy.right}, {"responses", accuracy.responses}, {"since", accuracy.since}};
}

// Checkpoints that were made before there were accuracies have none.
RecentAccuracy ParseAccuracy(const json& state) {
  if (!state.contains("accuracy")) return {};
  const json& value = state.at("accuracy");
  return {.right = value.at("right").get<double>(),
          .responses = value.at("responses").get<double>(),
          .since = value.at("since").get<uint32_t>()};
}

absl::Status Unreadable(absl::string_view why) {
  return absl::DataLossError(absl::StrCat("can't be read: ", why));
}

}  // namespace

std::string CheckpointStateJson(const CheckpointInfo& info) {
  const ordered_json state = {{"format", kStateFormat},
                              {"step", info.step},
                              {"digest", info.digest},
                              {"updates", info.counters.updates},
                              {"nonfinite", info.counters.nonfinite},
                              {"replay_mismatches", info.counters.replay_mismatches},
                              {"nonfinite_batches", info.counters.nonfinite_batches},
                              {"statistics", StatisticsJson(info.statistics)},
                              {"accuracy", AccuracyJson(info.accuracy)}};
  return PrintJson(state, 1) + "\n";
}

absl::StatusOr<CheckpointInfo> ParseCheckpointState(const std::string& text) {
  const absl::StatusOr<json> parsed = ParseJson(text);
  if (!parsed.ok()) return Unreadable(parsed.status().message());
  const json& state = *parsed;
  try {
    if (state.at("format") != kStateFormat) {
      return absl::DataLossError(absl::StrCat("has format ", PrintJson(state.at("format"))));
    }
    return CheckpointInfo{
        .step = state.at("step").get<uint32_t>(),
        .digest = state.at("digest").get<std::string>(),
        .counters = {.updates = state.at("updates").get<int64_t>(),
                     .nonfinite = state.at("nonfinite").get<int64_t>(),
                     .replay_mismatches = state.at("replay_mismatches").get<int64_t>(),
                     // Not in checkpoints that were made before it was kept.
                     .nonfinite_batches = state.value("nonfinite_batches", int64_t{0})},
        .statistics = ParseStatistics(state.at("statistics")),
        .accuracy = ParseAccuracy(state)};
  } catch (const std::exception& error) {
    return Unreadable(JsonWords(error));
  }
}

}  // namespace attnrl::learner
