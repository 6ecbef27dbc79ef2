// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attnrl::tools {

// A step of a response, and the attention that later steps paid to it (FCI, 0 or more).
struct ScoredText {
  std::string text;
  float fci = 0;
};

// Whether colours may be written to stdout: it is a terminal, which knows colours, and the
// environment doesn't set NO_COLOR (https://no-color.org).
bool ColoursAreWelcome();

// The texts one after the other, each on a background that is the stronger the nearer its score
// comes to the highest one; the lowest fifth has none. What would move a terminal's cursor is
// escaped.
std::string Shaded(const std::vector<ScoredText>& steps);

// Rows that `text`, begun in the first column, takes on a terminal of `columns` columns; nullopt
// where that depends on the terminal: characters beyond ASCII may be wide.
std::optional<size_t> RowsOf(std::string_view text, size_t columns);

// What brings the cursor of stdout's terminal back to where `text`, which has just been written
// from the first column on, begins, and clears from there. Where `text` doesn't fit on the screen
// or can't be measured, two line ends: what follows is written below it.
std::string BackBefore(std::string_view text);

}  // namespace attnrl::tools
