// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/attnrl/train/run_directory.h"

namespace attnrl::tools {

// What the services of a run have people see (common/observe/notice.h), from their logs. Reads what
// was appended since; not thread-safe.
class Notices {
 public:
  Notices(const std::string& run_directory, const std::vector<std::string>& services);

  // Leaves out what was logged before now: an earlier start has said it.
  void Skip();
  // Lines for the terminal, in the order of the services. A service says the same message kMostTold
  // times at most, whatever its details; the last time its line says where the others are.
  std::vector<std::string> New();

  static constexpr int kMostTold = 4;

 private:
  struct Log {
    std::string service;
    std::string path;
    LineReader lines;
    std::map<std::string, int> told;  // by message
  };
  std::vector<Log> logs_;
};

}  // namespace attnrl::tools
