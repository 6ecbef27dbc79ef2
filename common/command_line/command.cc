// SPDX-License-Identifier: Apache-2.0
#include "common/command_line/command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>
#include <type_traits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest.h"
#include "common/base/status.h"

namespace attnrl {
namespace {

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& known) {
  const std::string near = Nearest(word, known);
  return near.empty() ? "" : absl::StrCat("did you mean ", near, "? ");
}

const CLI::App& Chosen(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : *chosen.front();
}

// "attnrl score" of a command, "attnrl-learner" of a program without commands.
std::string PathOf(const CLI::App& app) {
  const CLI::App& chosen = Chosen(app);
  return &chosen == &app ? app.get_name() : absl::StrCat(app.get_name(), " ", chosen.get_name());
}

absl::Status UnknownArgument(const CLI::App& app) {
  const CLI::App& command = Chosen(app);
  const std::vector<std::string> extra = app.remaining(true);
  const std::string word = extra.empty() ? "" : extra.front();
  if (word.empty() || word[0] != '-') {
    std::string meant;  // the flag in front of it may have been left out
    for (const CLI::Option* option : command.get_options()) {
      if (!meant.empty() || !option->get_required() || option->count() > 0) continue;
      if (option->get_positional()) continue;
      meant = absl::StrCat("did you mean ", option->get_name(), " ", word, "? ");
    }
    return InputError(word, "unexpected argument",
                      absl::StrCat(meant, "see ", PathOf(app), " --help"));
  }
  const std::string flag = word.substr(0, word.find('='));
  const std::vector<std::string> known = FlagNames(command);
  return InputError(
      flag, "no such flag",
      absl::StrCat(DidYouMean(flag, known), "flags are ", absl::StrJoin(known, ", ")));
}

// CLI11's texts name the flag at different places: finds the longest word that is one.
absl::Status OtherError(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = Chosen(app);
  const std::string text = error.what();
  std::string where;
  std::vector<std::string> names = FlagNames(command);
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) names.push_back(option->get_name());
  }
  for (const std::string& flag : names) {
    if (text.find(flag) != std::string::npos && (where.empty() || flag.size() > where.size())) {
      where = flag;
    }
  }
  if (where.empty()) where = "command line";
  std::string what = text;
  for (const std::string& prefix : {where + ": ", where + " "}) {
    if (what.rfind(prefix, 0) == 0) what = what.substr(prefix.size());
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    what = absl::StrContains(text, "missing") ? "has no value" : "is there more than once";
  }
  return InputError(where, what, absl::StrCat("see ", PathOf(app), " --help"));
}

// Two flags of which only one may be given.
absl::Status Together(const CLI::App& app) {
  for (const CLI::Option* option : Chosen(app).get_options()) {
    for (const CLI::Option* other : option->get_excludes()) {
      if (option->count() == 0 || other->count() == 0) continue;
      return InputError(option->get_name(), absl::StrCat("is there with ", other->get_name()),
                        "only one of them is allowed");
    }
  }
  return InputError("command line", "flags exclude each other",
                    absl::StrCat("see ", PathOf(app), " --help"));
}

std::string Is(const std::string& text, const std::string& allowed) {
  return absl::StrCat("is ", text, "; ", allowed);
}

// A check of values by `wrong`, which returns what is wrong with one and what is allowed, or "".
// --help says nothing of it.
void Check(CLI::Option* option, std::function<std::string(const std::string&)> wrong) {
  option->check(CLI::Validator(
      [wrong = std::move(wrong)](std::string& text) { return wrong(text); }, "", ""));
}

// The text as the type that the flag has, before CLI11 converts it: that one would let NaN pass,
// and -1 as the largest unsigned number.
template <typename Number>
void CheckType(CLI::Option* option) {
  Check(option, [](const std::string& text) -> std::string {
    Number number{};
    if constexpr (std::is_floating_point_v<Number>) {
      if (absl::SimpleAtod(text, &number) && std::isfinite(number)) return "";
      return Is(text, "a finite number is needed");
    } else {
      if (absl::SimpleAtoi(text, &number)) return "";
      return Is(text, std::is_unsigned_v<Number> ? "a whole number of 0 or more is needed"
                                                 : "a whole number is needed");
    }
  });
}

double RealOf(const std::string& text) {
  double number = 0;
  return absl::SimpleAtod(text, &number) ? number : 0;
}

// The first word is a command or a flag of the program.
absl::Status CheckCommand(const std::vector<std::string>& commands, int argc,
                          const char* const* argv) {
  if (argc < 2) {
    return InputError("command line", "no command",
                      absl::StrCat("commands are ", absl::StrJoin(commands, ", ")));
  }
  const std::string first = argv[1];
  if (first[0] == '-' || std::find(commands.begin(), commands.end(), first) != commands.end()) {
    return absl::OkStatus();
  }
  return InputError(
      first, "no such command",
      absl::StrCat(DidYouMean(first, commands), "commands are ", absl::StrJoin(commands, ", ")));
}

// What is wrong with a path as that of a new file; empty: nothing.
std::string NotWritable(const std::string& path) {
  constexpr char kAllowed[] = "a file in a folder that may be written, or -";
  if (path == "-") return "";
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::StrCat(path, " is a folder; ", kAllowed);
  }
  if (!std::filesystem::is_directory(folder, error)) {
    return absl::StrCat("there is no folder ", folder.string(), "; ", kAllowed);
  }
  if (access(folder.c_str(), W_OK) != 0) {
    return absl::StrCat("the folder ", folder.string(), " can't be written; ", kAllowed);
  }
  return "";
}

// CLI11's, without what Flag::Excludes says at a flag: messages do.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string text;
    if (option->get_type_size() == 0) return text;
    absl::StrAppend(&text, " ", option->get_type_name());
    const bool required = option->get_required();
    if (!required && !option->get_default_str().empty()) {
      absl::StrAppend(&text, "=", option->get_default_str());
    }
    if (option->get_expected_max() == CLI::detail::expected_max_vector_size) text += " ...";
    return required ? text + " REQUIRED" : text;
  }
};

// A flag for one value, whose default --help shows.
template <typename Value>
CLI::Option* AddOption(CLI::App& app, const std::string& flag, Value* value,
                       const std::string& help) {
  CLI::Option* option = app.add_option(flag, *value, help);
  if (!absl::StrContains(help, "default")) option->capture_default_str();
  return option;
}

template <typename Number>
CLI::Option* AddNumber(CLI::App& app, const std::string& flag, Number* value,
                       const std::string& help) {
  CLI::Option* option = AddOption(app, flag, value, help);
  CheckType<Number>(option);
  return option;
}

}  // namespace

Flag Flag::Required(bool required) {
  option_->required(required);
  // --model "$UNSET": an empty path means the root of the file system to some, nothing to others.
  Check(option_, [required](const std::string& text) {
    return required && text.empty() ? "is empty; a value is needed" : "";
  });
  return *this;
}

Flag Flag::TypeName(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Flag Flag::Repeatable() {
  option_->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return *this;
}

Flag Flag::Excludes(const Flag& other) {
  option_->excludes(other.option_);
  return *this;
}

Flag Flag::AtLeastZero() {
  Check(option_, [](const std::string& text) {
    return RealOf(text) >= 0 ? "" : Is(text, "0 or more is needed");
  });
  return *this;
}

Flag Flag::AboveZero() {
  Check(option_, [](const std::string& text) {
    return RealOf(text) > 0 ? "" : Is(text, "more than 0 is needed");
  });
  return *this;
}

Flag Flag::Between(int64_t low, int64_t high) {
  return BetweenReals(static_cast<double>(low), static_cast<double>(high));
}

Flag Flag::BetweenReals(double low, double high) {
  const std::string range = absl::StrFormat("%.15g to %.15g", low, high);
  option_->description(absl::StrCat(option_->get_description(), " (", range, ")"));
  Check(option_, [=](const std::string& text) {
    const double number = RealOf(text);
    return number >= low && number <= high ? "" : Is(text, range + " is allowed");
  });
  return *this;
}

Flag Flag::OneOf(const std::vector<std::string>& words) {
  const std::string all = absl::StrJoin(words, "|");
  option_->type_name(all);
  Check(option_, [words, all](const std::string& text) {
    const bool known = std::find(words.begin(), words.end(), text) != words.end();
    return known ? "" : Is(text, absl::StrCat(DidYouMean(text, words), all));
  });
  return *this;
}

Flag Flag::Writable() {
  Check(option_, NotWritable);
  return *this;
}

Command::Command(const std::string& purpose, const std::string& name)
    : program_(std::make_unique<CLI::App>(purpose, name)), app_(program_.get()) {
  app_->require_subcommand(0, 1);
  app_->formatter(std::make_shared<HelpFormatter>());
}

Command::Command(CLI::App* app) : app_(app) {}

Command::~Command() = default;

Flag Command::Add(const std::string& flag, std::string* value, const std::string& help) {
  return Flag(AddOption(*app_, flag, value, help));
}

Flag Command::Add(const std::string& flag, std::vector<std::string>* value,
                  const std::string& help) {
  return Flag(app_->add_option(flag, *value, help));
}

Flag Command::Add(const std::string& flag, int* value, const std::string& help) {
  return Flag(AddNumber(*app_, flag, value, help));
}

Flag Command::Add(const std::string& flag, int64_t* value, const std::string& help) {
  return Flag(AddNumber(*app_, flag, value, help));
}

Flag Command::Add(const std::string& flag, std::optional<int64_t>* value, const std::string& help) {
  CLI::Option* option = app_->add_option(flag, *value, help);
  CheckType<int64_t>(option);
  return Flag(option);
}

Flag Command::Add(const std::string& flag, uint64_t* value, const std::string& help) {
  return Flag(AddNumber(*app_, flag, value, help));
}

Flag Command::Add(const std::string& flag, double* value, const std::string& help) {
  return Flag(AddNumber(*app_, flag, value, help));
}

Flag Command::AddSwitch(const std::string& flag, bool* value, const std::string& help) {
  return Flag(app_->add_flag(flag, *value, help));
}

Command& Command::AddCommand(const std::string& name, const std::string& purpose) {
  // The constructor is not for std::make_unique.
  commands_.push_back(std::unique_ptr<Command>(new Command(app_->add_subcommand(name, purpose))));
  return *commands_.back();
}

void Command::Version(const std::string& text) { app_->set_version_flag("--version", text); }

void Command::Footer(const std::string& text) { app_->footer(text); }

void Command::WhenChosen(std::function<void()> call) { app_->callback(std::move(call)); }

std::vector<std::string> Command::CommandNames() const { return attnrl::CommandNames(*app_); }

absl::Status Command::Parse(int argc, const char* const* argv, bool* answered) {
  *answered = false;
  const std::vector<std::string> commands = CommandNames();
  if (!commands.empty()) ATTNRL_RETURN_IF_ERROR(CheckCommand(commands, argc, argv));
  try {
    app_->parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help and --version
    *answered = true;
    app_->exit(success, std::cout, std::cerr);
  } catch (const CLI::ValidationError& error) {  // from Check: the whole message
    return absl::InvalidArgumentError(error.what());
  } catch (const CLI::ExcludesError& error) {
    return Together(*app_);
  } catch (const CLI::ParseError& error) {
    // A misspelt flag also leaves the right one missing: the misspelling is the better message.
    return app_->remaining(true).empty() ? OtherError(*app_, error) : UnknownArgument(*app_);
  }
  return absl::OkStatus();
}

}  // namespace attnrl
