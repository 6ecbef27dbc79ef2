// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "common/rpc/shutdown.h"
#include "common/text/chat_template.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/commands/model/shading.h"
#include "tools/attnrl/sampling/model_flags.h"
#include "tools/attnrl/sampling/sampling_flags.h"
#include "tools/attnrl/sampling/sampling_run.h"

namespace attnrl::tools {
namespace {

constexpr std::string_view kUnfinished = "\uFFFD";  // also what half a character decodes to
constexpr absl::Duration kLookUp = absl::Milliseconds(200);
constexpr size_t kMostLineBytes = size_t{1} << 20;  // of the input

struct Flags {
  ModelFlags model;
  SamplingFlags sampling = {.temperature = 0.6};
  std::string system;
  int64_t context = 4096;
};

// Steps from this many on count for a step: the published value of algorithm.branching.delta.
constexpr uint32_t kScoreDelta = 4;

// Writes a response while it is sampled. One thread at a time.
class Stream {
 public:
  explicit Stream(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // `tokens`: all so far. Holds a character back until its last byte is there.
  void Show(const std::vector<int32_t>& tokens, bool complete) {
    const std::string text = TextOf(tokens, complete);
    if (text.size() <= shown_) return;
    std::cout << Escaped(std::string_view(text).substr(shown_)) << std::flush;
    shown_ = text.size();
  }

  // Writes it again in the place of what is shown, its steps shaded by their scores.
  void Shade(const std::vector<int32_t>& tokens, int64_t prompt_tokens,
             const rollout::StepScores& scores) const {
    const std::string text = TextOf(tokens, true);
    std::vector<ScoredText> steps;
    size_t begin = 0;
    for (size_t i = 1; i < scores.ends.size(); ++i) {  // behind the prompt
      const bool last = i + 1 == scores.ends.size();
      const auto count = static_cast<std::ptrdiff_t>(scores.ends[i] - prompt_tokens);
      const size_t end =
          last ? text.size() : TextOf({tokens.begin(), tokens.begin() + count}, false).size();
      steps.push_back({text.substr(begin, end - begin), scores.fci[i]});
      begin = end;
    }
    std::cout << BackBefore(Escaped(text)) << Shaded(steps) << std::flush;
  }

 private:
  std::string TextOf(const std::vector<int32_t>& tokens, bool complete) const {
    std::string text = tokenizer_.Decode(tokens, /*keep_special=*/false);
    if (!complete && text.ends_with(kUnfinished)) text.resize(text.size() - kUnfinished.size());
    return text;
  }

  const text::Tokenizer& tokenizer_;
  size_t shown_ = 0;  // bytes
};

// A conversation with the model: what was said so far, and the engine that answers.
class Chat {
 public:
  Chat(const Flags& flags, const ModelFolder& folder, text::ChatTemplate chat_template,
       int64_t context, bool shaded, rollout::Engine& engine)
      : folder_(folder),
        template_(std::move(chat_template)),
        job_(MakeJob(flags.sampling)),
        context_(context),
        shaded_(shaded),
        engine_(engine) {
    if (!flags.system.empty()) messages_.push_back({"system", flags.system});
  }

  // Writes the answer to stdout and keeps it. InputError for a conversation that leaves no room.
  absl::Status Answer(const std::string& question) {
    messages_.push_back({"user", question});
    ATTNRL_ASSIGN_OR_RETURN(const std::string prompt, template_.Render(messages_, true));
    rollout::Request request;
    request.prompt_ids = folder_.tokenizer.Encode(prompt);
    const int64_t room = context_ - static_cast<int64_t>(request.prompt_ids.size());
    if (room < 1) {
      return InputError("the conversation", absl::StrCat("has ", context_ - room, " tokens"),
                        absl::StrCat("at most ", context_ - 1, " (--context)"));
    }
    request.id = ++asked_;
    request.max_new_tokens = job_.max_new_tokens > 0 ? std::min(job_.max_new_tokens, room) : room;
    request.sampling = job_.sampling;
    request.key = {.seed = job_.seed, .purpose = kSampleToken, .position = asked_};
    request.stop_ids = folder_.end_tokens;
    ATTNRL_ASSIGN_OR_RETURN(const rollout::Completion answer, Sample(std::move(request)));
    messages_.push_back({"assistant", folder_.tokenizer.Decode(answer.token_ids, false)});
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<rollout::Completion> Sample(rollout::Request request) {
    Stream stream(folder_.tokenizer);
    // Asked after each token, on the engine's thread, which is where a stream can hear of it.
    request.stop_when = [&stream](const std::vector<int32_t>& tokens) {
      stream.Show(tokens, false);
      return false;
    };
    if (shaded_) request.score_delta = kScoreDelta;
    const uint64_t id = request.id;
    const auto prompt_tokens = static_cast<int64_t>(request.prompt_ids.size());
    rollout::Completion answer;
    absl::Notification done;
    engine_.Submit(std::move(request), [&answer, &done](rollout::Completion completion) {
      answer = std::move(completion);
      done.Notify();
    });
    bool aborted = false;
    while (!done.WaitForNotificationWithTimeout(kLookUp)) {
      if (aborted || !rpc::ShutdownSignal::Install().requested()) continue;
      engine_.Abort(id);
      aborted = true;
    }
    stream.Show(answer.token_ids, true);
    if (shaded_ && answer.scores.ends.size() > 1) {
      stream.Shade(answer.token_ids, prompt_tokens, answer.scores);
    }
    std::cout << std::endl;
    if (aborted) return absl::CancelledError("stopped");
    ATTNRL_RETURN_IF_ERROR(answer.status);
    return answer;
  }

  const ModelFolder& folder_;
  const text::ChatTemplate template_;
  const SamplingJob job_;
  const int64_t context_;
  const bool shaded_;  // steps, by their FCI
  rollout::Engine& engine_;
  std::vector<text::ChatMessage> messages_;
  uint32_t asked_ = 0;
};

// Waits for a line on the terminal; false: a shutdown was asked for, which reading wouldn't notice.
bool WaitForLine() {
  const rpc::ShutdownSignal& shutdown = rpc::ShutdownSignal::Install();
  pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  while (!shutdown.requested()) {
    const int ready = poll(&input, 1, static_cast<int>(absl::ToInt64Milliseconds(kLookUp)));
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
  }
  return false;
}

absl::Status Run(const Flags& flags) {
  ATTNRL_RETURN_IF_ERROR(CheckSamplingFlags(flags.sampling));
  ATTNRL_ASSIGN_OR_RETURN(const ModelFolder folder, OpenModelFolder(flags.model));
  ATTNRL_ASSIGN_OR_RETURN(text::ChatTemplate chat_template,
                          text::ChatTemplate::Load(flags.model.model, flags.model.chat_template));
  const int64_t context = std::min(flags.context, folder.config.max_position_embeddings);
  // One slot as long as the conversation may become.
  SamplingJob room;
  room.prompts = {{0}};
  room.max_new_tokens = context - 1;
  room.scores = ColoursAreWelcome();
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<rollout::Engine> engine,
                          StartEngine(flags.model, folder, room));
  Chat chat(flags, folder, std::move(chat_template), context, room.scores, *engine);
  const bool terminal = isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0;
  if (terminal) std::cerr << "One line a question; an end of input (Ctrl-D) ends it.\n";
  if (terminal && room.scores) {
    std::cerr << "Steps are shaded by the attention that later steps pay to them (FCI).\n";
  }
  absl::Status status;
  std::vector<char> buffer(kMostLineBytes + 1);
  while (status.ok() && std::cout) {
    if (terminal) std::cerr << "> " << std::flush;
    if (terminal && !WaitForLine()) {
      std::cerr << std::endl;
      status = absl::CancelledError("stopped");
      break;
    }
    if (!std::cin.getline(buffer.data(), static_cast<std::streamsize>(buffer.size()))) {
      if (!std::cin.eof()) {
        status = InputError("standard input", "a line is too long",
                            absl::StrCat("at most ", kMostLineBytes, " bytes a line are allowed"));
      }
      break;
    }
    const auto read = static_cast<size_t>(std::cin.gcount());  // the line's end included
    const std::string line(buffer.data(), std::cin.eof() ? read : read - 1);
    if (line.find_first_not_of(" \t\r") != std::string::npos) status = chat.Answer(line);
  }
  engine->Stop();
  return status;
}

}  // namespace

// `attnrl chat`: a conversation with a model, in the terminal or through a pipe.
void AddChatCommand(Command& app, Work* run) {
  auto flags = std::make_shared<Flags>();
  Command& command = app.AddCommand("chat", "Talk to a model");
  AddModelFlags(command, &flags->model);
  command.Add("--system", &flags->system, "System message to begin with (default: the template's)");
  command.Add("--context", &flags->context, "Tokens that a conversation may have").AboveZero();
  command
      .Add("--max-new-tokens", &flags->sampling.max_new_tokens,
           "Maximum length of an answer in tokens (default: what the context leaves)")
      .AboveZero();
  command.Add("--temperature", &flags->sampling.temperature, "Sampling temperature; 0 is greedy")
      .AtLeastZero();
  command.Add("--top-p", &flags->sampling.top_p, "Nucleus sampling (top-p); 1 is off");
  command.Add("--seed", &flags->sampling.seed, "Seed; the same seed gives the same answers");
  command.Footer(
      "Each line of the input is a question, and its answer is written while it is sampled. The "
      "conversation goes through\nthe model's chat template.\nExamples:\n  attnrl chat --model "
      "DIR\n  echo 'What is 2 + 2?' | attnrl chat --model DIR --temperature 0");
  command.WhenChosen([flags, run] { *run = [flags] { return Run(*flags); }; });
}

}  // namespace attnrl::tools
