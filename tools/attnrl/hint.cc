// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/hint.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/nearest.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

constexpr char kProgram[] = "attnrl";

// As it was typed: another program, for instance a test, is not what a hint is about.
std::string Called() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string name;
  std::getline(file, name, '\0');
  return fs::path(name).filename() == kProgram ? name : kProgram;
}

std::string Quoted(const std::string& word) {
  constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

constexpr size_t kNamedRuns = 3;
constexpr size_t kComparedBytes = 200;  // of a name; a longer one is told apart by less

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

std::string RunsBeside(const std::string& directory) {
  fs::path path = fs::path(directory);
  if (!path.has_filename()) path = path.parent_path();  // "runs/a/"
  const fs::path folder = path.parent_path();
  const std::string name = path.filename().string().substr(0, kComparedBytes);
  std::vector<std::pair<size_t, std::string>> runs;
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(folder.empty() ? "." : folder, error)) {
    if (!fs::exists(entry.path() / "config.yaml", error)) continue;
    const std::string run = entry.path().filename().string();
    runs.emplace_back(EditDistance(run.substr(0, kComparedBytes), name), (folder / run).string());
  }
  std::sort(runs.begin(), runs.end());
  std::string text;
  for (size_t i = 0; i < std::min(runs.size(), kNamedRuns); ++i) {
    absl::StrAppend(&text, text.empty() ? "there is " : ", ", runs[i].second);
  }
  return text;
}

}  // namespace attnrl::tools
