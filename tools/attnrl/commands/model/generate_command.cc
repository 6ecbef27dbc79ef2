// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/storage/files.h"
#include "common/storage/jsonl.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/progress.h"
#include "tools/attnrl/sampling/model_flags.h"
#include "tools/attnrl/sampling/prompts.h"
#include "tools/attnrl/sampling/sampling_flags.h"
#include "tools/attnrl/sampling/sampling_run.h"
#include "tools/attnrl/sampling/stop_text.h"

namespace attnrl::tools {
namespace {

struct Flags {
  ModelFlags model;
  SamplingFlags sampling;
  std::string input;
  std::string output;
  std::string stats;
  std::string stop;
  bool ignore_eos = false;
  bool skip_bad = false;
};

// The records to answer: their ids, and their prompts in `job`.
absl::Status ReadInput(const Flags& flags, const ModelFolder& folder, SamplingJob* job,
                       std::vector<nlohmann::json>* ids) {
  PromptReader reader({.model_dir = flags.model.model,
                       .chat_template = flags.model.chat_template,
                       .context = folder.config.max_position_embeddings,
                       .vocabulary = folder.config.vocab_size},
                      folder.tokenizer);
  int64_t skipped = 0;
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(
      flags.input, flags.skip_bad, &skipped, [&](const storage::JsonLine& line) -> absl::Status {
        ATTNRL_ASSIGN_OR_RETURN(nlohmann::json id, storage::AnyField(line, "id"));
        ATTNRL_ASSIGN_OR_RETURN(std::vector<int32_t> prompt, reader.Read(line));
        ids->push_back(std::move(id));
        job->prompts.push_back(std::move(prompt));
        return absl::OkStatus();
      }));
  if (skipped > 0) std::cerr << skipped << " bad records were left out" << std::endl;
  return absl::OkStatus();
}

absl::Status WriteStats(const Flags& flags, const rollout::EngineStats& stats, double seconds) {
  if (flags.stats.empty()) return absl::OkStatus();
  const double generated = static_cast<double>(stats.generated_tokens);
  const nlohmann::ordered_json json = {
      {"prompt_tokens", stats.prefill_tokens},
      {"generated_tokens", stats.generated_tokens},
      {"seconds", seconds},
      {"prefill_seconds", stats.prefill_seconds},
      {"tokens_per_second", seconds > 0 ? generated / seconds : 0}};
  return storage::WriteFileAtomically(flags.stats, PrintJson(json) + "\n");
}

absl::Status Run(const Flags& flags) {
  ATTNRL_RETURN_IF_ERROR(CheckSamplingFlags(flags.sampling));
  ATTNRL_ASSIGN_OR_RETURN(const ModelFolder folder, OpenModelFolder(flags.model));
  SamplingJob job = MakeJob(flags.sampling);
  if (!flags.ignore_eos) job.stop_ids = folder.end_tokens;
  const auto stop = std::make_shared<const StopText>(folder.tokenizer, flags.stop);
  if (!stop->empty()) {
    job.stop_when = [stop](const std::vector<int32_t>& tokens) { return stop->Completes(tokens); };
  }
  std::vector<nlohmann::json> ids;
  ATTNRL_RETURN_IF_ERROR(ReadInput(flags, folder, &job, &ids));
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(flags.output));
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<rollout::Engine> engine,
                          StartEngine(flags.model, folder, job));
  Progress progress({.what = "generate", .total = static_cast<int64_t>(job.size())});
  const absl::Duration start = Clock::Real().Monotonic();
  const auto write = [&](size_t index, rollout::Completion completion) {
    const size_t samples = static_cast<size_t>(job.samples);
    const bool stopped = completion.finish == rollout::FinishReason::kStop;
    std::string text = stop->Cut(folder.tokenizer.Decode(completion.token_ids, false));
    return writer.Write({{"id", ids[index / samples]},
                         {"sample", index % samples},
                         {"token_ids", std::move(completion.token_ids)},
                         {"text", std::move(text)},
                         {"logprobs", std::move(completion.logprobs)},
                         {"finish_reason", stopped ? "stop" : "length"}});
  };
  const absl::Status status =
      RunSampling(*engine, job, folder.config.max_position_embeddings, progress, write);
  const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
  // What a file held before stays where not all is there; on stdout some is better than nothing.
  if (status.ok() || flags.output == "-") ATTNRL_RETURN_IF_ERROR(writer.Close());
  ATTNRL_RETURN_IF_ERROR(status);
  engine->Stop();
  progress.Finish(absl::StrCat(engine->stats().generated_tokens, " tokens"));
  return WriteStats(flags, engine->stats(), seconds);
}

}  // namespace

void AddGenerateCommand(Command& app, Work* run) {
  auto flags = std::make_shared<Flags>();
  Command& command = app.AddCommand("generate", "Sample responses to prompts");
  AddModelFlags(command, &flags->model);
  command.Add("--input", &flags->input, "Prompts (JSON Lines); - is stdin").Required();
  command.Add("--output", &flags->output, "File for the responses (JSON Lines); - is stdout")
      .Required();
  AddSamplingFlags(command, &flags->sampling);
  command.Add("--stop", &flags->stop, "End a response at this text, which is left out of \"text\"");
  command.AddSwitch("--ignore-eos", &flags->ignore_eos, "Do not stop at end tokens");
  command.AddSwitch("--skip-bad", &flags->skip_bad, "Leave bad records out and count them");
  command.Add("--stats", &flags->stats, "File for counts and times (JSON)").Writable();
  command.Footer(
      "Input: {\"id\", \"prompt\" | \"messages\" | \"prompt_ids\"}. Output, one record for each "
      "sample, in the order of the input:\n"
      "{\"id\",\"sample\",\"token_ids\",\"text\",\"logprobs\",\"finish_reason\"}.\n"
      "Example:\n  attnrl generate --model DIR --input prompts.jsonl --output - --samples 4 --seed "
      "1");
  command.WhenChosen([flags, run] { *run = [flags] { return Run(*flags); }; });
}

}  // namespace attnrl::tools
