// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::tools {
namespace {

constexpr int kBarWidth = 24;
constexpr absl::Duration kBarInterval = absl::Milliseconds(100);

// Columns of the terminal behind stderr; 80 where they are not known.
size_t TerminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string Bar(int64_t done, int64_t total) {
  const auto full =
      static_cast<size_t>(std::clamp<int64_t>(done * kBarWidth / total, 0, kBarWidth));
  return absl::StrCat("[", std::string(full, '#'), std::string(kBarWidth - full, '.'), "]");
}

}  // namespace

std::string ShortDuration(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  if (seconds < 60) return absl::StrCat(seconds, " s");
  if (seconds < 3600) return absl::StrCat(seconds / 60, " min ", seconds % 60, " s");
  return absl::StrCat(seconds / 3600, " h ", seconds % 3600 / 60, " min");
}

Progress::Progress(ProgressOptions options)
    : Progress(std::move(options), std::cerr, isatty(STDERR_FILENO) != 0, Clock::Real()) {}

Progress::Progress(ProgressOptions options, std::ostream& out, bool terminal, const Clock& clock)
    : options_(std::move(options)),
      out_(out),
      terminal_(terminal),
      clock_(clock),
      start_(clock.Monotonic()) {}

Progress::~Progress() { Clear(); }

std::string Progress::State(int64_t done, bool stands, std::string_view note) const {
  std::string text = options_.what;
  if (options_.total > 0) {
    if (terminal_) absl::StrAppend(&text, " ", Bar(done, options_.total));
    absl::StrAppend(&text, " ", done, "/", options_.total);
    const int64_t worked = done - first_done_;
    if (worked > 0 && done < options_.total && !stands) {
      const absl::Duration each = (clock_.Monotonic() - first_time_) / worked;
      absl::StrAppend(&text, ", ", ShortDuration(each * (options_.total - done)), " left");
    }
  } else {
    absl::StrAppend(&text, " ", done);
  }
  if (!note.empty()) absl::StrAppend(&text, "  ", std::string(note));
  return text;
}

void Progress::Update(int64_t done, std::string_view note) {
  const absl::Duration since = std::exchange(stands_since_, absl::InfiniteDuration());
  if (since != absl::InfiniteDuration()) first_time_ += clock_.Monotonic() - since;
  Show(done, /*stands=*/false, note);
}

void Progress::Stand(int64_t done, std::string_view note) {
  stands_since_ = std::min(stands_since_, clock_.Monotonic());
  if (terminal_) Show(done, /*stands=*/true, note);
}

void Progress::Show(int64_t done, bool stands, std::string_view note) {
  const absl::Duration now = clock_.Monotonic();
  if (first_done_ < 0) {
    first_done_ = done;
    first_time_ = now;
    if (!terminal_) last_shown_ = now;  // the first plain line comes when there is an estimate
  }
  const absl::Duration interval = terminal_ ? kBarInterval : options_.plain_interval;
  if (finished_ || now - last_shown_ < interval) return;
  last_shown_ = now;
  std::string text = State(done, stands, note);
  if (!terminal_) {
    out_ << text << std::endl;
    return;
  }
  text.resize(std::min(text.size(), TerminalWidth() - 1));
  out_ << "\r\033[K" << text << std::flush;
  bar_shown_ = true;
}

void Progress::Line(std::string_view line) {
  Clear();
  out_ << line << std::endl;
  last_shown_ = terminal_ ? -absl::InfiniteDuration() : clock_.Monotonic();
}

void Progress::Finish(std::string_view note) {
  if (finished_) return;
  finished_ = true;
  Clear();
  out_ << options_.what << " done in " << ShortDuration(clock_.Monotonic() - start_);
  if (!note.empty()) out_ << "  " << note;
  out_ << std::endl;
}

void Progress::Clear() {
  if (bar_shown_) out_ << "\r\033[K" << std::flush;
  bar_shown_ = false;
}

}  // namespace attnrl::tools
