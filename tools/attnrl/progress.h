// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace attnrl::tools {

// Says how far some work is: on a terminal one bar with the time left, rewritten in place;
// elsewhere a plain line now and then. Not thread-safe. Example:
//   Progress progress({.what = "sft", .total = steps});
//   for (...) progress.Update(step, "loss 0.31");
//   progress.Finish();
struct ProgressOptions {
  std::string what;   // the first word of each line
  int64_t total = 0;  // units of work; 0 where it is not known
  // Shortest time between two plain lines; the bar is rewritten at most ten times a second.
  absl::Duration plain_interval = absl::Seconds(10);
};

class Progress {
 public:
  // To stderr, as a bar if that is a terminal.
  explicit Progress(ProgressOptions options);
  // For tests: `out` and `clock` must outlive this.
  Progress(ProgressOptions options, std::ostream& out, bool terminal, const Clock& clock);
  // Takes the bar away.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` units of the total are finished; `note` says what else is worth knowing in a few words.
  // Work that was done before this object was made doesn't count for the estimate: the first call
  // sets the start.
  void Update(int64_t done, std::string_view note = "");
  // The same while nothing goes on, by somebody's wish: on a terminal the bar says `note` and no
  // time left; elsewhere nothing is written. The time until the next Update doesn't count for the
  // estimate.
  void Stand(int64_t done, std::string_view note);
  // A whole line that stays, above the bar.
  void Line(std::string_view line);
  // The last line: the whole time. Nothing after it.
  void Finish(std::string_view note = "");

 private:
  std::string State(int64_t done, bool stands, std::string_view note) const;
  // Writes the state if it is due.
  void Show(int64_t done, bool stands, std::string_view note);
  void Clear();

  const ProgressOptions options_;
  std::ostream& out_;
  const bool terminal_;
  const Clock& clock_;
  const absl::Duration start_;
  int64_t first_done_ = -1;
  absl::Duration first_time_;
  absl::Duration stands_since_ = absl::InfiniteDuration();
  absl::Duration last_shown_ = -absl::InfiniteDuration();
  bool bar_shown_ = false;
  bool finished_ = false;
};

// "45 s", "3 min 20 s", "2 h 5 min".
std::string ShortDuration(absl::Duration duration);

}  // namespace attnrl::tools
