// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "services/learner/reference/reference.h"

namespace attnrl::learner {

// What LibTorch threw while `doing` something, as an INTERNAL status: the first line of its
// message, without the stack behind it. The status of a ReferenceError: a disk that is full isn't
// the library's.
inline absl::Status LibraryError(std::string_view doing, const std::exception& error) {
  const auto* const reference = dynamic_cast<const ReferenceError*>(&error);
  if (reference != nullptr) return Annotate(reference->status(), doing);
  const std::string_view text = error.what();
  const std::string message =
      std::string(doing) + ": " + std::string(text.substr(0, text.find('\n')));
  return absl::InternalError(message);
}

}  // namespace attnrl::learner
