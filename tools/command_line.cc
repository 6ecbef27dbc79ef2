// SPDX-License-Identifier: Apache-2.0
#include "tools/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest.h"
#include "common/base/status.h"

namespace attnrl::tools {
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
  return InputError(where, what, absl::StrCat("see attnrl ", command.get_name(), " --help"));
}

}  // namespace

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
  return absl::OkStatus();
}

}  // namespace attnrl::tools
