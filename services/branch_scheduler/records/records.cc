// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/records/records.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/storage/files.h"
#include "common/storage/zstd_text.h"
#include "services/branch_scheduler/records/tree_files.h"

namespace attnrl::scheduler {
namespace {

using Json = nlohmann::ordered_json;

const char* FinishName(FinishReason finish) {
  return finish == FinishReason::kStop ? "stop" : "length";
}

Json Segments(const std::vector<AdvantageRun>& runs) {
  if (runs.empty()) return nullptr;
  Json segments = Json::array();
  for (const AdvantageRun& run : runs) segments.push_back({run.tokens, run.advantage});
  return segments;
}

void AddGrade(const Grade& grade, Json* json) {
  const bool verdict = verifier::IsVerdict(grade.status);
  (*json)["reward"] = verdict ? Json(grade.reward()) : Json(nullptr);
  (*json)["verdict"] = std::string(verifier::StatusName(grade.status));
}

Json Children(const SchedulerOptions& options, const Response& response,
              const std::vector<std::vector<AdvantageRun>>& segments, const Version& version) {
  Json branches = Json::array();
  const uint32_t per_point = options.branching.children;
  const SampledItem& item = *response.continuation;
  for (uint32_t p = 0; p < response.expansion.points.size(); ++p) {
    Json children = Json::array();
    for (uint32_t c = 0; c < per_point; ++c) {
      const uint32_t i = p * per_point + c;
      const SampleResult& sample = item.result.samples[i];
      Json child;
      child["token_ids"] = sample.token_ids;
      child["logprobs"] = sample.logprobs;
      child["finish_reason"] = FinishName(sample.finish);
      child["version"] = version.number;
      child["digest"] = version.digest;
      child["worker"] = item.worker;
      AddGrade(item.grades[i], &child);
      child["segments"] = Segments(segments[i]);
      children.push_back(std::move(child));
    }
    branches.push_back({{"split", response.expansion.points[p]}, {"children", children}});
  }
  return branches;
}

}  // namespace

absl::Status WriteTreeFile(const SchedulerOptions& options, const DataSet& data,
                           const BatchState& batch, const SamplingVersions& versions) {
  const std::vector<ProblemOutcome> outcomes = JudgeAll(options, batch);
  std::string lines;
  for (size_t i = 0; i < batch.problems.size(); ++i) {
    absl::StrAppend(&lines,
                    TreeLine(options, data, batch, batch.problems[i], outcomes[i], versions), "\n");
  }
  if (options.compress_trees) lines = storage::Compress(lines);
  const std::string folder = absl::StrCat(options.records, "/trees/");
  ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(
      folder + TreeFileName(batch.number, options.compress_trees), lines));
  // Of a process that was killed before the commit, and had the other setting.
  return storage::RemoveTree(folder + TreeFileName(batch.number, !options.compress_trees));
}

std::string EventLine(const Event& event) {
  auto microseconds = [](double time) { return std::round(time * 1e6) / 1e6; };
  Json json;
  json["kind"] = event.kind;
  json["batch"] = event.batch;
  json["item"] = event.item.has_value() ? Json(Number(*event.item)) : Json(nullptr);
  json["version"] = event.version;
  json["worker"] = event.worker.has_value() ? Json(*event.worker) : Json(nullptr);
  json["start"] = microseconds(event.span.start);
  json["end"] = microseconds(event.span.end);
  return PrintJson(json);
}

std::string TreeLine(const SchedulerOptions& options, const DataSet& data, const BatchState& batch,
                     const Problem& problem, const ProblemOutcome& outcome,
                     const SamplingVersions& versions) {
  const DataProblem& row = data.problems[problem.row];
  Json line;
  line["batch"] = batch.number;
  line["position"] = problem.position;
  line["problem_id"] = row.id;
  line["prompt_ids"] = row.prompt_ids;
  line["kept"] = std::string(KeptName(outcome.kept));
  Json responses = Json::array();
  for (size_t r = 0; r < problem.responses.size(); ++r) {
    const Response& response = problem.responses[r];
    const SampleResult& sample = response.initial->result.samples[0];
    const Grade& grade = response.initial->grades[0];
    const bool expanded = response.continuation.has_value();
    Json json;
    json["token_ids"] = sample.token_ids;
    json["logprobs"] = sample.logprobs;
    json["entropy"] = sample.entropy;
    json["finish_reason"] = FinishName(sample.finish);
    json["version"] = versions.initial.number;
    json["digest"] = versions.initial.digest;
    json["worker"] = response.initial->worker;
    json["steps"] = options.branches() ? Json(response.expansion.steps) : Json(nullptr);
    json["fci"] = sample.fci.empty() ? Json(nullptr) : Json(sample.fci);
    AddGrade(grade, &json);
    json["extracted"] = grade.extracted.empty() ? Json(nullptr) : Json(grade.extracted);
    json["expanded"] = expanded;
    json["points"] = response.expansion.points;
    json["point_origin"] = response.expansion.origins;
    json["segments"] = Segments(outcome.responses[r]);
    json["branches"] = expanded
                           ? Children(options, response, outcome.children[r], versions.continuation)
                           : Json::array();
    responses.push_back(std::move(json));
  }
  line["responses"] = std::move(responses);
  return PrintJson(line);
}

std::vector<Span> MergeSpans(std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return a.start != b.start ? a.start < b.start : a.end < b.end;
  });
  std::vector<Span> merged;
  for (const Span& span : spans) {
    if (!merged.empty() && span.start <= merged.back().end) {
      merged.back().end = std::max(merged.back().end, span.end);
    } else {
      merged.push_back(span);
    }
  }
  return merged;
}

double TotalSeconds(const std::vector<Span>& merged) {
  double total = 0;
  for (const Span& span : merged) total += span.end - span.start;
  return total;
}

double CommonSeconds(const std::vector<Span>& a, const std::vector<Span>& b) {
  double total = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    total += std::max(0.0, std::min(a[i].end, b[j].end) - std::max(a[i].start, b[j].start));
    if (a[i].end < b[j].end) {
      ++i;
    } else {
      ++j;
    }
  }
  return total;
}

}  // namespace attnrl::scheduler
