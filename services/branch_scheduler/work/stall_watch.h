// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace attnrl::scheduler {

// When to say that nothing of a run moves, and how often: after kQuiet, again when the reason is
// another one, otherwise after twice the time each. Not thread-safe. Time is passed in (monotonic).
class StallWatch {
 public:
  // Longer than workers take to report their tokens, a third of the usual lease time.
  static constexpr absl::Duration kQuiet = absl::Seconds(25);
  static constexpr absl::Duration kBetween = absl::Seconds(5);  // two lines, at least
  static constexpr absl::Duration kFirstRepeat = absl::Minutes(1);
  static constexpr absl::Duration kLongestRepeat = absl::Minutes(16);

  // `progress` is any number that changes whenever something moves. For how long it hasn't, once
  // that is long enough.
  std::optional<absl::Duration> Quiet(absl::Duration now, uint64_t progress);
  // Whether to say it now, for this reason. The caller then does.
  bool Due(absl::Duration now, const std::string& reason);

 private:
  std::optional<uint64_t> progress_;
  absl::Duration since_;  // when it last changed
  std::optional<std::string> said_;
  absl::Duration said_at_;
  absl::Duration repeat_ = kFirstRepeat;
};

}  // namespace attnrl::scheduler
