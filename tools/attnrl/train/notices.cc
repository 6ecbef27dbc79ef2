// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/notices.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "common/observe/notice.h"

namespace attnrl::tools {

Notices::Notices(const std::string& run_directory, const std::vector<std::string>& services) {
  for (const std::string& service : services) {
    const std::string path = LogPath(run_directory, service);
    logs_.push_back({.service = service, .path = path, .lines = LineReader(path), .told = {}});
  }
}

void Notices::Skip() {
  for (Log& log : logs_) log.lines.NewLines();
}

std::vector<std::string> Notices::New() {
  std::vector<std::string> lines;
  for (Log& log : logs_) {
    for (const std::string& line : log.lines.NewLines()) {
      const std::optional<observe::Notice> notice = observe::ParseNotice(line);
      if (!notice.has_value()) continue;
      const int times = ++log.told[notice->message];
      if (times > kMostTold) continue;
      lines.push_back(absl::StrCat(
          "warning: ", log.service, ": ", notice->message, notice->details.empty() ? "" : " (",
          notice->details, notice->details.empty() ? "" : ")",
          times == kMostTold ? absl::StrCat("; more of these are only in ", log.path) : ""));
    }
  }
  return lines;
}

}  // namespace attnrl::tools
