// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

struct pcre2_real_code_8;

namespace attnrl::text {

// A regular expression of a tokenizer file, with the meaning it has there (Oniguruma, Unicode):
// \s is Unicode's White_Space, \p{L} and friends are Unicode's. PCRE2 with its compiler where the
// machine allows it. Immutable and thread-safe.
class SplitPattern {
 public:
  // InvalidArgument with PCRE2's message where `regex` doesn't compile.
  static absl::StatusOr<SplitPattern> Compile(std::string_view regex);
  // Matches exactly `text`.
  static absl::StatusOr<SplitPattern> Literal(std::string_view text);

  // [begin, end) of every non-empty match from left to right. `text` must be UTF-8.
  std::vector<std::pair<size_t, size_t>> Matches(std::string_view text) const;

 private:
  struct FreeCode {
    void operator()(pcre2_real_code_8* code) const;
  };
  using Code = std::unique_ptr<pcre2_real_code_8, FreeCode>;

  explicit SplitPattern(Code code) : code_(std::move(code)) {}
  static absl::StatusOr<SplitPattern> CompileWith(std::string_view regex, unsigned options);

  Code code_;
};

}  // namespace attnrl::text
