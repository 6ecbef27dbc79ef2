// SPDX-License-Identifier: Apache-2.0
#include "common/command_line/command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest.h"
#include "common/base/status.h"

namespace attnrl {
namespace {

constexpr size_t kLongestRange = 100;  // of a message about one

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
    return InputError(word, "unexpected argument", absl::StrCat("see ", PathOf(app), " --help"));
  }
  const std::string flag = word.substr(0, word.find('='));
  const std::vector<std::string> known = FlagNames(command);
  return InputError(
      flag, "no such flag",
      absl::StrCat(DidYouMean(flag, known), "flags are ", absl::StrJoin(known, ", ")));
}

// CLI11's texts name the flag at different places: finds the first word that is one.
absl::Status OtherError(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = Chosen(app);
  const std::string text = error.what();
  std::string where = "command line";
  for (const std::string& flag : FlagNames(command)) {
    if (text.find(flag) != std::string::npos && (where[0] != '-' || flag.size() > where.size())) {
      where = flag;
    }
  }
  std::string what = text;
  for (const std::string& prefix : {where + ": ", where + " "}) {
    if (what.rfind(prefix, 0) == 0) what = what.substr(prefix.size());
  }
  // The bounds of "not negative" and "above 0" are hundreds of digits long.
  if (const size_t range = what.find(" not in range ");
      range != std::string::npos && what.size() > kLongestRange) {
    what = absl::StrCat(what.substr(0, range), " is out of range");
  }
  return InputError(where, what, absl::StrCat("see ", PathOf(app), " --help"));
}

// What CLI11's conversions and ranges let pass: NaN, and -1 as the largest unsigned number.
absl::Status CheckNumbers(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const bool real = option->get_type_name().starts_with("FLOAT");
    const bool natural = option->get_type_name().starts_with("UINT");
    for (const std::string& text : option->results()) {
      double number = 0;
      if (real && (!absl::SimpleAtod(text, &number) || !std::isfinite(number))) {
        return InputError(option->get_name(), absl::StrCat("is ", text),
                          "a finite number is needed");
      }
      if (natural && text.starts_with('-')) {
        return InputError(option->get_name(), absl::StrCat("is ", text),
                          "a whole number of 0 or more is needed");
      }
    }
  }
  return absl::OkStatus();
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
  if (path == "-") return "";
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return absl::StrCat(path, " is a folder");
  if (!std::filesystem::is_directory(folder, error)) {
    return absl::StrCat("there is no folder ", folder.string());
  }
  if (access(folder.c_str(), W_OK) != 0) {
    return absl::StrCat("the folder ", folder.string(), " can't be written");
  }
  return "";
}

}  // namespace

Flag Flag::Required(bool required) {
  option_->required(required);
  return *this;
}

Flag Flag::ShowDefault() {
  option_->capture_default_str();
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
  option_->check(CLI::NonNegativeNumber);
  return *this;
}

Flag Flag::AboveZero() {
  option_->check(CLI::PositiveNumber);
  return *this;
}

Flag Flag::Between(int64_t low, int64_t high) {
  option_->check(CLI::Range(low, high));
  return *this;
}

Flag Flag::BetweenReals(double low, double high) {
  option_->check(CLI::Range(low, high));
  return *this;
}

Flag Flag::OneOf(const std::vector<std::string>& words) {
  option_->check(CLI::IsMember(words));
  return *this;
}

Flag Flag::Writable() {
  option_->check(NotWritable);
  return *this;
}

Command::Command(const std::string& purpose, const std::string& name)
    : program_(std::make_unique<CLI::App>(purpose, name)), app_(program_.get()) {
  app_->require_subcommand(0, 1);
}

Command::Command(CLI::App* app) : app_(app) {}

Command::~Command() = default;

Flag Command::Add(const std::string& flag, std::string* value, const std::string& help) {
  return Flag(app_->add_option(flag, *value, help));
}

Flag Command::Add(const std::string& flag, std::vector<std::string>* value,
                  const std::string& help) {
  return Flag(app_->add_option(flag, *value, help));
}

Flag Command::Add(const std::string& flag, int* value, const std::string& help) {
  return Flag(app_->add_option(flag, *value, help));
}

Flag Command::Add(const std::string& flag, int64_t* value, const std::string& help) {
  return Flag(app_->add_option(flag, *value, help));
}

Flag Command::Add(const std::string& flag, std::optional<int64_t>* value, const std::string& help) {
  return Flag(app_->add_option(flag, *value, help));
}

Flag Command::Add(const std::string& flag, uint64_t* value, const std::string& help) {
  return Flag(app_->add_option(flag, *value, help));
}

Flag Command::Add(const std::string& flag, double* value, const std::string& help) {
  return Flag(app_->add_option(flag, *value, help));
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
  } catch (const CLI::ParseError& error) {
    // A misspelt flag also leaves the right one missing: the misspelling is the better message.
    return app_->remaining(true).empty() ? OtherError(*app_, error) : UnknownArgument(*app_);
  }
  return CheckNumbers(Chosen(*app_));
}

}  // namespace attnrl
