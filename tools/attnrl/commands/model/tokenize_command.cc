// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/jsonl.h"
#include "common/text/chat_template.h"
#include "common/text/tokenizer.h"
#include "tools/attnrl/command.h"

namespace attnrl::tools {
namespace {

using Json = nlohmann::json;
using Record = nlohmann::ordered_json;

struct Options {
  std::string model;
  std::string chat_template;
  std::string input = "-";
  std::string output = "-";
  bool decode = false;
  bool skip_bad = false;
};

absl::StatusOr<std::vector<text::ChatMessage>> Messages(const storage::JsonLine& line) {
  constexpr std::string_view kNeeded = "a list of {\"role\",\"content\"}, both text, is needed";
  const Json& list = line.value["messages"];
  if (!list.is_array()) return storage::BadRecord(line, "field \"messages\" is no list", kNeeded);
  std::vector<text::ChatMessage> messages;
  for (size_t i = 0; i < list.size(); ++i) {
    const Json role = list[i].is_object() ? list[i].value("role", Json()) : Json();
    const Json content = list[i].is_object() ? list[i].value("content", Json()) : Json();
    if (!role.is_string() || !content.is_string()) {
      return storage::BadRecord(
          line, absl::StrCat("field \"messages\", item ", i, " is no message"), kNeeded);
    }
    messages.push_back({role.get<std::string>(), content.get<std::string>()});
  }
  return messages;
}

// Turns one record after another. The chat template is loaded for the first conversation: a model
// without one can still tokenize texts.
class Converter {
 public:
  Converter(const Options& options, text::Tokenizer tokenizer)
      : options_(options), tokenizer_(std::move(tokenizer)) {}

  absl::StatusOr<Record> Convert(const storage::JsonLine& line) {
    ATTNRL_ASSIGN_OR_RETURN(Json id, storage::AnyField(line, "id"));
    Record out = {{"id", std::move(id)}};
    if (options_.decode) {
      ATTNRL_ASSIGN_OR_RETURN(out["text"], Decoded(line));
      return out;
    }
    ATTNRL_ASSIGN_OR_RETURN(const std::string text, Text(line));
    out["ids"] = tokenizer_.Encode(text);
    return out;
  }

  // What keeps every conversation from being rendered; not one record's fault.
  const absl::Status& template_status() const { return template_status_; }

 private:
  absl::StatusOr<std::string> Decoded(const storage::JsonLine& line) const {
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, storage::IntListField(line, "ids"));
    for (const int32_t id : ids) {
      if (id < 0 || id >= tokenizer_.size()) {
        return storage::BadRecord(line, absl::StrCat("token id ", id, " is outside the vocabulary"),
                                  absl::StrCat("0 to ", tokenizer_.size() - 1));
      }
    }
    return tokenizer_.Decode(ids);
  }

  absl::StatusOr<std::string> Text(const storage::JsonLine& line) {
    if (!storage::HasField(line, "messages")) return storage::StringField(line, "text");
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<text::ChatMessage> messages, Messages(line));
    bool add_generation_prompt = false;
    if (storage::HasField(line, "add_generation_prompt")) {
      ATTNRL_ASSIGN_OR_RETURN(add_generation_prompt,
                              storage::BoolField(line, "add_generation_prompt"));
    }
    if (!chat_template_) {
      auto loaded = text::ChatTemplate::Load(options_.model, options_.chat_template);
      if (!loaded.ok()) {
        template_status_ = loaded.status();
        return absl::AbortedError("no chat template");
      }
      chat_template_ = *std::move(loaded);
    }
    absl::StatusOr<std::string> text = chat_template_->Render(messages, add_generation_prompt);
    if (!text.ok()) return Annotate(text.status(), line.where);
    return text;
  }

  const Options& options_;
  const text::Tokenizer tokenizer_;
  std::optional<text::ChatTemplate> chat_template_;
  absl::Status template_status_;
};

absl::Status Tokenize(const Options& options) {
  ATTNRL_ASSIGN_OR_RETURN(text::Tokenizer tokenizer, text::Tokenizer::Load(options.model));
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(options.output));
  Converter converter(options, std::move(tokenizer));
  int64_t skipped = 0;
  const absl::Status status = storage::ReadJsonLines(
      options.input, options.skip_bad, &skipped, [&](const storage::JsonLine& line) {
        const absl::StatusOr<Record> record = converter.Convert(line);
        return record.ok() ? writer.Write(*record) : record.status();
      });
  ATTNRL_RETURN_IF_ERROR(converter.template_status());
  ATTNRL_RETURN_IF_ERROR(status);
  if (skipped > 0) std::cerr << skipped << " bad records were left out" << std::endl;
  return writer.Close();
}

}  // namespace

// `attnrl tokenize`: texts and conversations to token ids, and with --decode ids to texts.
void AddTokenizeCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("tokenize", "Turn texts into token ids and back");
  auto options = std::make_shared<Options>();
  command.Add("--model", &options->model, "Model folder; only its tokenizer's files are read")
      .Required();
  command.Add("--input", &options->input,
              "JSON Lines of {\"id\",\"text\"}, {\"id\",\"messages\"} or, with --decode, "
              "{\"id\",\"ids\"}; - is stdin");
  command.Add("--output", &options->output, "File for the results; - is stdout");
  command.AddSwitch("--decode", &options->decode, "Turn ids into texts, special tokens included");
  command.Add("--chat-template", &options->chat_template,
              "Chat template to use instead of the model's own: chatml, "
              "chatml-default-system, deepseek-r1 or deepseek-r1-think");
  command.AddSwitch("--skip-bad", &options->skip_bad, "Leave bad records out and count them");
  command.Footer(
      "A result is {\"id\",\"ids\"}, with --decode {\"id\",\"text\"}. Special tokens written in a "
      "text are recognised, none is added.\nExample:\n  echo '{\"id\":1,\"text\":\"1+1=\"}' | "
      "attnrl tokenize --model deploy/local/model");
  command.WhenChosen([options, run] { *run = [options] { return Tokenize(*options); }; });
}

}  // namespace attnrl::tools
