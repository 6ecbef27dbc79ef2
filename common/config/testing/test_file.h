// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::config {

// Tests only: a configuration file in a folder of its own.
class TestFile {
 public:
  explicit TestFile(const std::string& text) { folder_.Write("run.yaml", text); }

  const std::string& folder() const { return folder_.path(); }
  std::string path() const { return folder_ / "run.yaml"; }

 private:
  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};
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
