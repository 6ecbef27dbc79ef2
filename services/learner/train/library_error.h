// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace attnrl::learner {

// What LibTorch threw while `doing` something, as an INTERNAL status: the first line of its
// message, without the stack behind it.
inline absl::Status LibraryError(std::string_view doing, const std::exception& error) {
  const std::string_view text = error.what();
  const std::string message =
      std::string(doing) + ": " + std::string(text.substr(0, text.find('\n')));
  return absl::InternalError(message);
}

}  // namespace attnrl::learner
