// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest.h"
#include "common/base/status.h"

namespace attnrl::tools {
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

absl::Status UnknownArgument(const CLI::App& app) {
  const CLI::App& command = Chosen(app);
  const std::vector<std::string> extra = app.remaining(true);
  const std::string word = extra.empty() ? "" : extra.front();
  if (word.empty() || word[0] != '-') {
    return InputError(word, "unexpected argument",
                      absl::StrCat("see attnrl ", command.get_name(), " --help"));
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
  return InputError(where, what, absl::StrCat("see attnrl ", command.get_name(), " --help"));
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

}  // namespace

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

absl::Status ParseCommandLine(CLI::App& app, int argc, const char* const* argv, bool* answered) {
  *answered = false;
  const std::vector<std::string> commands = CommandNames(app);
  if (argc < 2) {
    return InputError("command line", "no command",
                      absl::StrCat("commands are ", absl::StrJoin(commands, ", ")));
  }
  const std::string first = argv[1];
  if (first[0] != '-' && std::find(commands.begin(), commands.end(), first) == commands.end()) {
    return InputError(
        first, "no such command",
        absl::StrCat(DidYouMean(first, commands), "commands are ", absl::StrJoin(commands, ", ")));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help and --version
    *answered = true;
    app.exit(success, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    // A misspelt flag also leaves the right one missing: the misspelling is the better message.
    return app.remaining(true).empty() ? OtherError(app, error) : UnknownArgument(app);
  }
  return CheckNumbers(Chosen(app));
}

}  // namespace attnrl::tools
