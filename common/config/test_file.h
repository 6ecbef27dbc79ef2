// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace attnrl::config {

// Tests only: a configuration file in a folder of its own.
class TestFile {
 public:
  explicit TestFile(const std::string& text) {
    std::string name = ::testing::TempDir() + "attnrl-config-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    std::ofstream(path()) << text;
  }
  ~TestFile() { std::filesystem::remove_all(folder_); }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  const std::string& folder() const { return folder_; }
  std::string path() const { return folder_ + "/run.yaml"; }

 private:
  std::string folder_;
};

inline absl::StatusOr<Config> LoadText(const std::string& text,
                                       const std::vector<std::string>& sets = {},
                                       const Variables& environment = {}) {
  return Load(TestFile(text).path(), sets, environment);
}

// The error's message; the file's path is written as "run.yaml".
inline std::string ErrorOf(const std::string& text, const std::vector<std::string>& sets = {},
                           const Variables& environment = {}) {
  const absl::Status status = LoadText(text, sets, environment).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  std::string message(status.message());
  const size_t file = message.find("/run.yaml");
  return file == std::string::npos ? message : message.substr(file + 1);
}

}  // namespace attnrl::config
