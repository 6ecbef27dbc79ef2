// SPDX-License-Identifier: Apache-2.0
#include <ATen/Parallel.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/model/scoring.h"
#include "common/model/transformer.h"
#include "common/storage/jsonl.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/progress.h"
#include "tools/attnrl/sampling/model_flags.h"

namespace attnrl::tools {
namespace {

// Requests scored between two lines of progress; each pass within holds some thousand tokens.
constexpr size_t kChunk = 256;

struct Flags {
  ModelFlags model;
  std::string input;
  std::string output;
  bool skip_bad = false;
};

struct Records {
  std::vector<nlohmann::json> ids;
  std::vector<model::ScoreRequest> requests;
};

absl::StatusOr<Records> ReadRecords(const Flags& flags, const model::ModelConfig& config) {
  Records records;
  int64_t skipped = 0;
  const auto use = [&](const storage::JsonLine& line) -> absl::Status {
    ATTNRL_ASSIGN_OR_RETURN(nlohmann::json id, storage::AnyField(line, "id"));
    model::ScoreRequest request;
    ATTNRL_ASSIGN_OR_RETURN(request.prompt_ids, storage::IntListField(line, "prompt_ids"));
    ATTNRL_ASSIGN_OR_RETURN(request.response_ids, storage::IntListField(line, "response_ids"));
    ATTNRL_RETURN_IF_ERROR(model::CheckScoreRequest(line.where, config, request));
    records.ids.push_back(std::move(id));
    records.requests.push_back(std::move(request));
    return absl::OkStatus();
  };
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(flags.input, flags.skip_bad, &skipped, use));
  if (skipped > 0) std::cerr << skipped << " bad records were left out" << std::endl;
  return records;
}

absl::StatusOr<model::Transformer> LoadModel(const ModelFlags& flags,
                                             const model::ModelConfig& config) {
  model::DType dtype = config.dtype;
  if (!flags.dtype.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(dtype, model::ParseDType(flags.dtype, "--dtype"));
  }
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device, device::ParseDevice(flags.device));
  ATTNRL_ASSIGN_OR_RETURN(model::Tensors weights,
                          model::LoadTensors(flags.model, config, dtype, device));
  return model::Transformer(config, std::move(weights));
}

absl::Status Score(const model::Transformer& transformer, const Records& records,
                   storage::JsonLinesWriter& writer) {
  const size_t total = records.requests.size();
  Progress progress({.what = "score", .total = static_cast<int64_t>(total)});
  for (size_t first = 0; first < total; first += kChunk) {
    const size_t end = std::min(total, first + kChunk);
    const std::vector<model::ScoreRequest> chunk(
        records.requests.begin() + static_cast<ptrdiff_t>(first),
        records.requests.begin() + static_cast<ptrdiff_t>(end));
    const std::vector<model::SequenceScores> scores = model::ScoreSequences(transformer, chunk);
    for (size_t i = first; i < end; ++i) {
      ATTNRL_RETURN_IF_ERROR(writer.Write({{"id", records.ids[i]},
                                           {"logprobs", scores[i - first].logprobs},
                                           {"entropy", scores[i - first].entropy}}));
    }
    progress.Update(static_cast<int64_t>(end));
  }
  ATTNRL_RETURN_IF_ERROR(writer.Close());
  progress.Finish(absl::StrCat(total, " responses"));
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  if (flags.model.threads < 0 || flags.model.threads > 1024) {
    return InputError("--threads", absl::StrCat(flags.model.threads), "1 to 1024");
  }
  at::set_num_threads(ThreadsOr(flags.model.threads));
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig config,
                          model::LoadModelConfig(flags.model.model, !flags.model.dtype.empty()));
  ATTNRL_ASSIGN_OR_RETURN(const Records records, ReadRecords(flags, config));
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(flags.output));
  try {
    ATTNRL_ASSIGN_OR_RETURN(const model::Transformer transformer, LoadModel(flags.model, config));
    return Score(transformer, records, writer);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the model can't be run: ", OneLine(error.what())));
  }
}

}  // namespace

// `attnrl score`: log-prob and entropy of given responses.
void AddScoreCommand(Command& app, Work* run) {
  auto flags = std::make_shared<Flags>();
  Command& command = app.AddCommand("score", "Compute log-probs and entropies of given responses");
  AddModelFlags(command, &flags->model);
  command
      .Add("--input", &flags->input,
           R"(JSON Lines of {"id", "prompt_ids", "response_ids"}; - is stdin)")
      .Required();
  command
      .Add("--output", &flags->output,
           R"(JSON Lines of {"id", "logprobs", "entropy"} in nats; - is stdout)")
      .Required();
  command.AddSwitch("--skip-bad", &flags->skip_bad, "Leave bad records out and count them");
  command.Footer(
      "Example:\n  attnrl score --model deploy/local/model --input responses.jsonl --output -");
  command.WhenChosen([flags, run] { *run = [flags] { return Run(*flags); }; });
}

}  // namespace attnrl::tools
