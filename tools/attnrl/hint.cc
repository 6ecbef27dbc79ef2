// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/hint.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace attnrl::tools {
namespace {

constexpr char kProgram[] = "attnrl";

// As it was typed: another program, for instance a test, is not what a hint is about.
std::string Called() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string name;
  std::getline(file, name, '\0');
  return std::filesystem::path(name).filename() == kProgram ? name : kProgram;
}

std::string Quoted(const std::string& word) {
  constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

}  // namespace

std::string Hint(const std::vector<std::string>& words) {
  std::string command = Quoted(Called());
  for (const std::string& word : words) absl::StrAppend(&command, " ", Quoted(word));
  return command;
}

std::string ResumeHint(const std::string& run_directory, const std::vector<std::string>& more) {
  std::vector<std::string> words = {"train",     "--config",    run_directory + "/config.yaml",
                                    "--run-dir", run_directory, "--resume"};
  words.insert(words.end(), more.begin(), more.end());
  return Hint(words);
}

}  // namespace attnrl::tools
