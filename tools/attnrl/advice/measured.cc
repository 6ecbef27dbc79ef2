// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/advice/measured.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/storage/jsonl.h"

namespace attnrl::tools {
namespace {

constexpr int64_t kNewest = 50;
// The pipeline fills, and processes warm up.
constexpr int64_t kFirst = 2;
constexpr int64_t kFewest = 4;

struct Step {
  double step = 0, learn = 0, wait = 0, tokens = 0;
};

using Spans = std::vector<std::pair<double, double>>;

struct Events {
  std::map<int64_t, double> made;          // by batch: when its version was announced
  std::map<std::string, Spans> by_worker;  // of samples
  std::map<int64_t, double> longest;       // by batch
};

double Number(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

// A run that still writes may be amid a line, which is left out.
absl::StatusOr<std::map<int64_t, Step>> ReadSteps(const std::string& file) {
  std::map<int64_t, Step> steps;
  const auto read = [&steps](const storage::JsonLine& line) -> absl::Status {
    ATTNRL_ASSIGN_OR_RETURN(const int64_t step, storage::IntField(line, "step"));
    const nlohmann::json seconds = line.value.value("seconds", nlohmann::json::object());
    if (!seconds.is_object()) return InputError(line.where, "\"seconds\" is no object", "one");
    steps[step] = {Number(seconds, "step"), Number(seconds, "learn"), Number(seconds, "wait"),
                   Number(line.value, "generated_tokens")};
    return absl::OkStatus();
  };
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(file, /*skip_bad=*/true, nullptr, read));
  return steps;
}

absl::StatusOr<Events> ReadEvents(const std::string& file, int64_t from) {
  Events events;
  const auto read = [&](const storage::JsonLine& line) -> absl::Status {
    ATTNRL_ASSIGN_OR_RETURN(const int64_t batch, storage::IntField(line, "batch"));
    if (batch < from) return absl::OkStatus();
    ATTNRL_ASSIGN_OR_RETURN(const std::string kind, storage::StringField(line, "kind"));
    ATTNRL_ASSIGN_OR_RETURN(const double start, storage::NumberField(line, "start"));
    ATTNRL_ASSIGN_OR_RETURN(const double end, storage::NumberField(line, "end"));
    if (kind == "sync") events.made[batch] = end;
    if (kind != "initial" && kind != "continuation") return absl::OkStatus();
    ATTNRL_ASSIGN_OR_RETURN(const std::string worker, storage::StringField(line, "worker"));
    events.by_worker[worker].emplace_back(start, end);
    double& longest = events.longest[batch];
    longest = std::max(longest, end - start);
    return absl::OkStatus();
  };
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(file, /*skip_bad=*/true, nullptr, read));
  return events;
}

// Time between `from` and `to` in which at least one of the spans lasted.
double Covered(Spans spans, double from, double to) {
  std::sort(spans.begin(), spans.end());
  double covered = 0, until = from;
  for (const auto& [start, end] : spans) {
    const double begin = std::max(start, until), stop = std::min(end, to);
    if (stop > begin) covered += stop - begin;
    until = std::max(until, stop);
  }
  return covered;
}

}  // namespace

absl::StatusOr<Measured> ReadMeasured(const std::string& run_directory) {
  const std::string metrics = run_directory + "/metrics.jsonl";
  if (!std::filesystem::exists(metrics)) {
    return InputError(metrics, "is not there", "the directory of a run that has made some steps");
  }
  ATTNRL_ASSIGN_OR_RETURN(const config::Config config,
                          config::Load(run_directory + "/config.yaml", {}, {}));
  ATTNRL_ASSIGN_OR_RETURN(const auto steps, ReadSteps(metrics));
  Measured measured;
  measured.mode = config.pipeline.mode;
  measured.ranks = config.learner.ranks;
  measured.last_step = steps.empty() ? -1 : steps.rbegin()->first;
  measured.first_step = std::max(kFirst, measured.last_step + 1 - kNewest);
  ATTNRL_ASSIGN_OR_RETURN(const Events events,
                          ReadEvents(run_directory + "/events.jsonl", measured.first_step - 1));
  const auto begin = events.made.find(measured.first_step - 1);
  const auto end = events.made.find(measured.last_step);
  const int64_t count = measured.last_step + 1 - measured.first_step;
  if (count < kFewest || begin == events.made.end() || end == events.made.end()) {
    return InputError(metrics, absl::StrCat(std::max<int64_t>(0, count), " steps can be counted"),
                      absl::StrCat("at least ", kFewest, " behind the first ", kFirst));
  }
  for (const auto& [step, seconds] : steps) {
    if (step < measured.first_step) continue;
    measured.train += seconds.learn / static_cast<double>(count);
    measured.wait += seconds.wait / static_cast<double>(count);
    measured.tokens += seconds.tokens / static_cast<double>(count);
    const auto longest = events.longest.find(step);
    if (longest != events.longest.end()) {
      measured.longest += longest->second / static_cast<double>(count);
    }
  }
  measured.step = (end->second - begin->second) / static_cast<double>(count);
  double sampling = 0;
  for (const auto& [worker, spans] : events.by_worker) {
    const double covered = Covered(spans, begin->second, end->second);
    if (covered == 0) continue;
    ++measured.workers;
    sampling += covered;
  }
  if (measured.workers == 0) {
    return InputError(run_directory + "/events.jsonl", "no worker sampled in these steps", "some");
  }
  measured.sampling = sampling / static_cast<double>(measured.workers * count);
  return measured;
}

}  // namespace attnrl::tools
