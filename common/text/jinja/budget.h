// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::text::jinja {

// What one rendering may cost: so many steps of evaluation, and so many bytes of all texts that it
// makes on the way, the result among them.
class Budget {
 public:
  static constexpr int64_t kSteps = 1'000'000;
  static constexpr int64_t kBytes = int64_t{64} << 20;

  absl::Status Steps(size_t count) { return Take(count, "steps", kSteps, &steps_); }
  absl::Status Bytes(size_t count) { return Take(count, "bytes of text", kBytes, &bytes_); }

 private:
  static absl::Status Take(size_t count, const char* unit, int64_t limit, int64_t* left) {
    if (count <= static_cast<size_t>(*left)) {
      *left -= static_cast<int64_t>(count);
      return absl::OkStatus();
    }
    return InputError("", absl::StrCat("the template takes more than ", limit, " ", unit),
                      "a template that ends, and a shorter conversation");
  }

  int64_t steps_ = kSteps;
  int64_t bytes_ = kBytes;
};

}  // namespace attnrl::text::jinja
