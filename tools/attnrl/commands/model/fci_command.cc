// SPDX-License-Identifier: Apache-2.0
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/json/json.h"
#include "common/model/fci.h"
#include "common/model/files/weights.h"
#include "common/model/scoring.h"
#include "common/model/transformer.h"
#include "common/storage/files.h"
#include "common/storage/jsonl.h"
#include "common/text/steps.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/progress.h"
#include "tools/attnrl/sampling/model_flags.h"

namespace attnrl::tools {
namespace {

// Tokens scored between two lines of progress; short sequences share a pass of at most as many.
constexpr int64_t kChunkTokens = 1024;

struct Flags {
  ModelFlags model;
  std::string input;
  std::string output;
  std::string method = "recompute";
  std::string stats;
  model::FciOptions options;
  bool skip_bad = false;
};

struct Record {
  nlohmann::json id;
  std::vector<int32_t> ids;  // prompt + response
  std::vector<StepRange> steps;
  std::optional<int64_t> think_end_step;
};

absl::StatusOr<std::vector<StepRange>> GivenSteps(const storage::JsonLine& line) {
  const nlohmann::json& field = line.value["steps"];
  std::vector<StepRange> steps;
  const auto whole = [](const nlohmann::json& value) {
    return value.is_number_integer() && !(value.is_number_unsigned() && value > INT64_MAX);
  };
  for (const nlohmann::json& step : field) {
    if (!field.is_array() || !step.is_array() || step.size() != 2 || !whole(step[0]) ||
        !whole(step[1])) {
      return storage::BadRecord(line, "field \"steps\" is no list of ranges",
                                "[start, end] of whole numbers each, end exclusive, are needed");
    }
    steps.emplace_back(step[0].get<int64_t>(), step[1].get<int64_t>());
  }
  return steps;
}

absl::StatusOr<Record> ReadRecord(const storage::JsonLine& line, const Flags& flags,
                                  const model::ModelConfig& config,
                                  const text::StepSegmenter& segmenter) {
  Record record;
  ATTNRL_ASSIGN_OR_RETURN(record.id, storage::AnyField(line, "id"));
  model::ScoreRequest request;
  ATTNRL_ASSIGN_OR_RETURN(request.prompt_ids, storage::IntListField(line, "prompt_ids"));
  ATTNRL_ASSIGN_OR_RETURN(request.response_ids, storage::IntListField(line, "response_ids"));
  ATTNRL_RETURN_IF_ERROR(model::CheckScoreRequest(line.where, config, request));
  const auto prompt = static_cast<int64_t>(request.prompt_ids.size());
  const std::vector<int32_t>& response = request.response_ids;
  record.ids = request.prompt_ids;
  record.ids.insert(record.ids.end(), response.begin(), response.end());
  if (storage::HasField(line, "steps")) {
    ATTNRL_ASSIGN_OR_RETURN(record.steps, GivenSteps(line));
  } else {
    record.steps = segmenter.Segment(prompt, response);
  }
  absl::Status status = CheckFciSequence({.steps = record.steps}, flags.options);
  if (status.ok() && record.steps.front().second != prompt) {
    status = absl::InvalidArgumentError(
        absl::StrCat("step 0 ends at ", record.steps.front().second, ", the prompt at ", prompt));
  } else if (const auto tokens = static_cast<int64_t>(record.ids.size());
             status.ok() && record.steps.back().second != tokens) {
    status = absl::InvalidArgumentError(absl::StrCat(
        "the last step ends at ", record.steps.back().second, ", the sequence at ", tokens));
  }
  if (!status.ok()) {
    return storage::BadRecord(line, absl::StrCat("field \"steps\": ", status.message()),
                              "the prompt first, then ranges that follow each other to the end of "
                              "the response are allowed");
  }
  record.think_end_step = segmenter.ThinkEndStep(prompt, response, record.steps);
  return record;
}

absl::StatusOr<std::vector<Record>> ReadRecords(const Flags& flags, const ModelFolder& folder) {
  const text::StepSegmenter segmenter(folder.tokenizer);
  std::vector<Record> records;
  int64_t skipped = 0;
  const auto use = [&](const storage::JsonLine& line) -> absl::Status {
    ATTNRL_ASSIGN_OR_RETURN(Record record, ReadRecord(line, flags, folder.config, segmenter));
    records.push_back(std::move(record));
    return absl::OkStatus();
  };
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(flags.input, flags.skip_bad, &skipped, use));
  if (skipped > 0) std::cerr << skipped << " bad records were left out" << std::endl;
  return records;
}

absl::Status Score(const Flags& flags, const model::Transformer& transformer,
                   const std::vector<Record>& records, storage::JsonLinesWriter& writer) {
  Progress progress({.what = "fci", .total = static_cast<int64_t>(records.size())});
  for (size_t first = 0; first < records.size();) {
    std::vector<model::FciRequest> requests;
    size_t end = first;
    for (int64_t tokens = 0; end < records.size() && tokens < kChunkTokens; ++end) {
      const Record& record = records[end];
      tokens += static_cast<int64_t>(record.ids.size());
      requests.push_back({record.ids, record.steps, record.think_end_step});
    }
    ATTNRL_ASSIGN_OR_RETURN(
        const auto scores, model::RecomputeFci(transformer, requests, flags.options, kChunkTokens));
    for (size_t i = first; i < end; ++i) {
      ATTNRL_RETURN_IF_ERROR(writer.Write(
          {{"id", records[i].id}, {"steps", records[i].steps}, {"fci", scores[i - first]}}));
    }
    progress.Update(static_cast<int64_t>(end));
    first = end;
  }
  ATTNRL_RETURN_IF_ERROR(writer.Close());
  progress.Finish(absl::StrCat(records.size(), " responses"));
  return absl::OkStatus();
}

absl::Status WriteStats(const Flags& flags, const std::vector<Record>& records,
                        absl::Duration time) {
  if (flags.stats.empty()) return absl::OkStatus();
  int64_t tokens = 0;
  for (const Record& record : records) tokens += static_cast<int64_t>(record.ids.size());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const nlohmann::ordered_json stats = {{"sequences", records.size()},
                                        {"tokens", tokens},
                                        {"seconds", absl::ToDoubleSeconds(time)},
                                        {"peak_rss_bytes", int64_t{1024} * usage.ru_maxrss}};
  return storage::WriteFileAtomically(flags.stats, PrintJson(stats) + "\n");
}

// Own kernels where they are at least as fast; a score is then the same in any company and on any
// number of threads.
const model::Operators& PickOperators(model::DType dtype, const at::Device& device) {
  const bool own = device.is_cpu() && dtype == model::DType::kFloat32;
  return own ? model::Operators::FixedOrder() : model::Operators::Standard();
}

absl::Status CheckFlags(const Flags& flags) {
  if (flags.method == "online") {
    return InputError("--method", "online needs the engine that decodes the responses",
                      "recompute is allowed");
  }
  if (flags.method != "recompute") {
    return InputError("--method", absl::StrCat("unknown method \"", flags.method, "\""),
                      "recompute is allowed");
  }
  if (flags.options.delta < 0) {
    return InputError("--delta", absl::StrCat(flags.options.delta),
                      "whole numbers from 0 are allowed");
  }
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  ATTNRL_RETURN_IF_ERROR(CheckFlags(flags));
  ATTNRL_ASSIGN_OR_RETURN(const ModelFolder folder, OpenModelFolder(flags.model));
  at::set_num_threads(folder.threads);
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<Record> records, ReadRecords(flags, folder));
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(flags.output));
  try {
    ATTNRL_ASSIGN_OR_RETURN(const at::Device device, device::ParseDevice(flags.model.device));
    ATTNRL_ASSIGN_OR_RETURN(
        model::Tensors weights,
        model::LoadTensors(flags.model.model, folder.config, folder.dtype, device));
    const model::Transformer transformer(folder.config, std::move(weights),
                                         PickOperators(folder.dtype, device));
    const absl::Duration start = Clock::Real().Monotonic();
    ATTNRL_RETURN_IF_ERROR(Score(flags, transformer, records, writer));
    return WriteStats(flags, records, Clock::Real().Monotonic() - start);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the model can't be run: ", OneLine(error.what())));
  }
}

}  // namespace

// `attnrl fci`: forward context influence of the steps of given responses.
void AddFciCommand(Command& app, Work* run) {
  auto flags = std::make_shared<Flags>();
  Command& command = app.AddCommand("fci", "Score the influence of each step on later steps (FCI)");
  AddModelFlags(command, &flags->model);
  command
      .Add("--input", &flags->input,
           R"(JSON Lines of {"id", "prompt_ids", "response_ids"} and optionally )"
           R"("steps"; - is stdin)")
      .Required();
  command.Add("--output", &flags->output, R"(JSON Lines of {"id", "steps", "fci"}; - is stdout)")
      .Required();
  command.Add("--delta", &flags->options.delta,
              "Attention counts as influence from this many steps later on");
  command.Add("--method", &flags->method, "recompute: one separate pass over each sequence");
  command.Add("--stats", &flags->stats, "File for time and peak memory (JSON)").Writable();
  command.AddSwitch("--skip-bad", &flags->skip_bad, "Leave bad records out and count them");
  command.Footer(
      "Example:\n  attnrl fci --model deploy/local/model --input responses.jsonl --output -");
  command.WhenChosen([flags, run] { *run = [flags] { return Run(*flags); }; });
}

}  // namespace attnrl::tools
