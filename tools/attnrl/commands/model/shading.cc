// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/commands/model/shading.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace attnrl::tools {
namespace {

// Black on one of these, pale to strong: letters stay legible on dark and on light terminals.
constexpr std::array<int, 5> kBackgrounds = {0, 230, 228, 221, 208};
constexpr char kPlain[] = "\x1b[0m";

std::string InColour(std::string_view text, size_t level) {
  if (level == 0 || text.empty()) return std::string(text);
  return absl::StrCat("\x1b[38;5;16;48;5;", kBackgrounds[level], "m", std::string(text), kPlain);
}

}  // namespace

bool ColoursAreWelcome() {
  const char* const no_colour = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) != 0 && (no_colour == nullptr || *no_colour == '\0') &&
         terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::string Shaded(const std::vector<ScoredText>& steps) {
  float most = 0;
  for (const ScoredText& step : steps) most = std::max(most, step.fci);
  std::string out;
  for (const ScoredText& step : steps) {
    constexpr float kLevels = kBackgrounds.size();
    const auto level = most > 0 ? static_cast<size_t>(step.fci / most * kLevels) : 0;
    // A background that is on at a line's end would fill the rest of the row.
    const std::string text = Escaped(step.text);
    bool first = true;
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
      absl::StrAppend(&out, first ? "" : "\n",
                      InColour(line, std::min(level, kBackgrounds.size() - 1)));
      first = false;
    }
  }
  return out;
}

std::optional<size_t> RowsOf(std::string_view text, size_t columns) {
  const auto one_column = [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); };
  if (columns == 0 || !std::all_of(text.begin(), text.end(), one_column)) return std::nullopt;
  size_t rows = 0;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(std::string(text), '\n'))) {
    rows += std::max<size_t>(1, (line.size() + columns - 1) / columns);
  }
  return rows;
}

std::string BackBefore(std::string_view text) {
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  const std::optional<size_t> rows = RowsOf(text, known ? size.ws_col : 0);
  if (!rows.has_value() || *rows > size.ws_row) return "\n\n";
  const std::string up = *rows > 1 ? absl::StrCat("\x1b[", *rows - 1, "A") : "";
  return absl::StrCat("\r", up, "\x1b[J");
}

}  // namespace attnrl::tools
