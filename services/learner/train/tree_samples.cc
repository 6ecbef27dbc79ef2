// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/tree_samples.h"

#include <cstdint>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json_words.h"
#include "common/storage/jsonl.h"

namespace attnrl::learner {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using scheduler::TrainingBatch;
using scheduler::TrainingSample;

std::vector<scheduler::AdvantageRun> ParseSegments(const json& segments) {
  std::vector<scheduler::AdvantageRun> runs;
  for (const json& segment : segments) {
    runs.push_back({segment.at(0).get<uint32_t>(), segment.at(1).get<double>()});
  }
  return runs;
}

// Appends a response or continuation: its tokens, log-probs and version.
void Append(const json& sampled, size_t tokens, bool continuation, TrainingSample& sample) {
  const auto ids = sampled.at("token_ids").get<std::vector<int32_t>>();
  const auto logprobs = sampled.at("logprobs").get<std::vector<float>>();
  const size_t count = std::min(tokens, ids.size());
  const auto end = static_cast<ptrdiff_t>(count);
  sample.response_ids.insert(sample.response_ids.end(), ids.begin(), ids.begin() + end);
  sample.logprobs.insert(sample.logprobs.end(), logprobs.begin(),
                         logprobs.begin() + std::min(end, static_cast<ptrdiff_t>(logprobs.size())));
  if (count > 0) {
    sample.versions.push_back({.tokens = static_cast<uint32_t>(count),
                               .version = sampled.at("version").get<uint32_t>(),
                               .continuation = continuation});
  }
  sample.reward = sampled.at("reward").get<double>();
  sample.truncated = sampled.at("finish_reason") == "length";
}

// The leaves of one response that are samples, the original first.
void AddLeaves(const json& response, TrainingSample sample, TrainingBatch& batch) {
  const TrainingSample empty = sample;
  if (!response.at("segments").is_null()) {
    Append(response, SIZE_MAX, false, sample);
    sample.advantages = ParseSegments(response.at("segments"));
    batch.samples.push_back(std::move(sample));
  }
  if (!response.contains("branches") || response.at("branches").is_null()) return;
  for (const json& branch : response.at("branches")) {
    for (const json& child : branch.at("children")) {
      if (child.at("segments").is_null()) continue;
      TrainingSample leaf = empty;
      Append(response, branch.at("split").get<size_t>(), false, leaf);
      Append(child, SIZE_MAX, true, leaf);
      leaf.advantages = ParseSegments(child.at("segments"));
      leaf.node = static_cast<uint32_t>(batch.samples.size());
      batch.samples.push_back(std::move(leaf));
    }
  }
}

void AddProblem(const json& problem, TrainingBatch& batch) {
  batch.batch = problem.at("batch").get<uint32_t>();
  ++batch.problems;
  if (problem.at("kept") != "all") return;
  uint32_t index = 0;
  for (const json& response : problem.at("responses")) {
    TrainingSample sample;
    sample.position = problem.at("position").get<uint32_t>();
    sample.response = index++;
    sample.prompt_ids = problem.at("prompt_ids").get<std::vector<int32_t>>();
    AddLeaves(response, std::move(sample), batch);
  }
}

// Tokens from `first` on as a record has them: a response, or a continuation behind its prefix.
ordered_json Sampled(const TrainingSample& sample, size_t first) {
  const auto begin = static_cast<ptrdiff_t>(first);
  ordered_json segments = ordered_json::array();
  for (const auto& run : sample.advantages) segments.push_back({run.tokens, run.advantage});
  return {{"token_ids",
           std::vector<int32_t>(sample.response_ids.begin() + begin, sample.response_ids.end())},
          {"logprobs", std::vector<float>(sample.logprobs.begin() + begin, sample.logprobs.end())},
          {"finish_reason", sample.truncated ? "length" : "stop"},
          {"version", sample.versions.back().version},
          {"reward", sample.reward},
          {"segments", segments}};
}

// Puts a leaf at its place among the responses of its problem; those that trained nothing, between
// others, have no tokens.
void PutLeaf(const TrainingSample& sample, ordered_json& responses) {
  while (responses.size() <= sample.response) {
    responses.push_back({{"segments", nullptr}, {"branches", ordered_json::array()}});
  }
  ordered_json& response = responses[sample.response];
  if (!sample.versions.back().continuation) {
    const ordered_json branches = response["branches"];
    response = Sampled(sample, 0);
    response["branches"] = branches;
    return;
  }
  const size_t split = sample.response_ids.size() - sample.versions.back().tokens;
  response["branches"].push_back(
      {{"split", split}, {"children", ordered_json::array({Sampled(sample, split)})}});
}

// "" where a sample is whole, else what is wrong with it.
std::string Fault(const TrainingSample& sample) {
  size_t covered = 0;
  for (const auto& run : sample.advantages) covered += run.tokens;
  const size_t tokens = sample.response_ids.size();
  if (sample.prompt_ids.empty() || tokens == 0) return "a prompt or response is empty";
  if (sample.logprobs.size() != tokens) {
    return absl::StrCat("response ", sample.response, " has ", sample.logprobs.size(),
                        " log-probs for ", tokens, " tokens");
  }
  if (covered != tokens) {
    return absl::StrCat("the segments of response ", sample.response, " cover ", covered, " of ",
                        tokens, " tokens");
  }
  return "";
}

}  // namespace

absl::StatusOr<TrainingBatch> ReadTreeSamples(const std::string& path) {
  TrainingBatch batch;
  int64_t skipped = 0;
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(
      path, /*skip_bad=*/false, &skipped, [&batch](const storage::JsonLine& line) -> absl::Status {
        const size_t before = batch.samples.size();
        try {
          AddProblem(line.value, batch);
        } catch (const std::exception& error) {
          return InputError(line.where, OneLine(JsonWords(error)), "a record of trees/ is needed");
        }
        for (size_t i = before; i < batch.samples.size(); ++i) {
          const std::string fault = Fault(batch.samples[i]);
          if (!fault.empty()) return InputError(line.where, fault, "a record of trees/ is needed");
        }
        return absl::OkStatus();
      }));
  return batch;
}

absl::Status WriteTreeSamples(const std::string& path, const TrainingBatch& batch) {
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer, storage::JsonLinesWriter::Open(path));
  std::vector<ordered_json> problems;
  for (const TrainingSample& sample : batch.samples) {
    if (problems.empty() || problems.back()["position"] != sample.position) {
      problems.push_back({{"batch", batch.batch},
                          {"position", sample.position},
                          {"problem_id", absl::StrCat("position ", sample.position)},
                          {"kept", "all"},
                          {"prompt_ids", sample.prompt_ids},
                          {"responses", ordered_json::array()}});
    }
    PutLeaf(sample, problems.back()["responses"]);
  }
  for (const ordered_json& problem : problems) ATTNRL_RETURN_IF_ERROR(writer.Write(problem));
  return writer.Close();
}

}  // namespace attnrl::learner
