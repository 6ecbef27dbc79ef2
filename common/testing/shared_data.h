// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace attnrl {

// For tests only: where `relative` of the data shared beside the repository lies, e.g.
// "data/oracle/tree/cases.jsonl". ATTNRL_SHARED names another folder. A test that finds nothing
// there says so and skips:
//   const std::string path = SharedData("data/oracle");
//   if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
inline std::string SharedData(const std::string& relative) {
  const char* folder = std::getenv("ATTNRL_SHARED");
  const std::string root = folder != nullptr ? folder : ATTNRL_SOURCE_DIR "/../shared";
  return std::filesystem::path(root + "/" + relative).lexically_normal().string();
}

}  // namespace attnrl
