// SPDX-License-Identifier: Apache-2.0
// The flags of a program or of one of its commands: what they are called, where their values go,
// what is allowed and what --help says. CLI11 does the work, in one file: its headers take longer
// to compile than a command does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace attnrl {

// What may be asked of a flag after it was added; every call returns the flag again. A value that
// is not allowed is refused by Command::Parse with an InputError that names the flag.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}

  Flag Required(bool required = true);
  // What --help calls the value, instead of TEXT, INT, UINT or FLOAT.
  Flag TypeName(const std::string& name);
  // Given several times, once for each value of a list.
  Flag Repeatable();
  // Not together with the other one.
  Flag Excludes(const Flag& other);

  Flag AtLeastZero();
  Flag AboveZero();
  // From `low` to `high`, both allowed.
  Flag Between(int64_t low, int64_t high);
  Flag BetweenReals(double low, double high);
  Flag OneOf(const std::vector<std::string>& words);
  // The path of a file that is written at the end of long work: its folder is there and may be
  // written, or it is "-".
  Flag Writable();

 private:
  CLI::Option* option_;  // of the command, which outlives this
};

// A program, or one of its commands. Not for use by several threads at once.
class Command {
 public:
  // The program `name`; `purpose` is the first line of --help.
  Command(const std::string& purpose, const std::string& name);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // A flag "--name", or an argument "NAME" by its position, whose value goes to `*value` while
  // Parse runs. Reals are finite, and whole numbers from 0 have no sign. `value` outlives Parse;
  // `help` is one sentence. --help shows the value that the variable has now, where it has one and
  // `help` doesn't name a default itself.
  Flag Add(const std::string& flag, std::string* value, const std::string& help);
  Flag Add(const std::string& flag, std::vector<std::string>* value, const std::string& help);
  Flag Add(const std::string& flag, int* value, const std::string& help);
  Flag Add(const std::string& flag, int64_t* value, const std::string& help);
  Flag Add(const std::string& flag, std::optional<int64_t>* value, const std::string& help);
  Flag Add(const std::string& flag, uint64_t* value, const std::string& help);
  Flag Add(const std::string& flag, double* value, const std::string& help);
  // A flag without a value, which sets `*value`.
  Flag AddSwitch(const std::string& flag, bool* value, const std::string& help);

  // A command of this program, of which a command line has one at most. Lives as long as this.
  Command& AddCommand(const std::string& name, const std::string& purpose);

  // Answers --version with `text`.
  void Version(const std::string& text);
  // Stands below the flags in --help: formats and examples.
  void Footer(const std::string& text);
  // Is called at the end of Parse where this is the command that was chosen.
  void WhenChosen(std::function<void()> call);

  // Reads argv. OK also when --help or --version was answered on stdout; `*answered` is true then
  // and nothing is left to do. Otherwise an InputError that names the flag or command, what is
  // wrong with it and what is allowed, with "did you mean" where a known name is close.
  absl::Status Parse(int argc, const char* const* argv, bool* answered);

  // In the order in which they were added.
  std::vector<std::string> CommandNames() const;

 private:
  explicit Command(CLI::App* app);

  std::unique_ptr<CLI::App> program_;  // null in a command of another
  CLI::App* app_;
  std::vector<std::unique_ptr<Command>> commands_;
};

}  // namespace attnrl
