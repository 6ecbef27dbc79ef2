// SPDX-License-Identifier: Apache-2.0
#include "common/text/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace attnrl::text {
namespace {

// PCRE2's own \s in Unicode mode also takes U+180E, which is no white space since Unicode 6.3.
std::string WithUnicodeSpaces(std::string_view regex) {
  std::string out;
  for (size_t at = 0; at < regex.size(); ++at) {
    if (regex[at] != '\\' || at + 1 == regex.size()) {
      out.push_back(regex[at]);
      continue;
    }
    const char escaped = regex[++at];
    if (escaped == 's') {
      out.append("\\p{White_Space}");
    } else if (escaped == 'S') {
      out.append("\\P{White_Space}");
    } else {
      out.append({'\\', escaped});
    }
  }
  return out;
}

size_t CharacterLength(std::string_view text, size_t at) {
  size_t length = 1;
  while (at + length < text.size() && (static_cast<uint8_t>(text[at + length]) & 0xC0) == 0x80) {
    ++length;
  }
  return length;
}

struct MatchState {
  explicit MatchState(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)),
        context(pcre2_match_context_create(nullptr)) {
    pcre2_set_match_limit(context, UINT32_MAX);  // a megabyte of spaces backtracks a million times
    pcre2_set_depth_limit(context, UINT32_MAX);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
  ~MatchState() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  pcre2_match_data* data;
  pcre2_match_context* context;
};

}  // namespace

void SplitPattern::FreeCode::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

absl::StatusOr<SplitPattern> SplitPattern::CompileWith(std::string_view regex, unsigned options) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(), options, &error,
                          &offset, nullptr));
  if (code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return absl::InvalidArgumentError(
        absl::StrCat(reinterpret_cast<const char*>(message), " at character ", offset));
  }
  // Where the machine forbids executable memory the interpreter gives the same matches.
  static_cast<void>(pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE));
  return SplitPattern(std::move(code));
}

absl::StatusOr<SplitPattern> SplitPattern::Compile(std::string_view regex) {
  return CompileWith(WithUnicodeSpaces(regex), PCRE2_UTF | PCRE2_UCP);
}

absl::StatusOr<SplitPattern> SplitPattern::Literal(std::string_view text) {
  return CompileWith(text, PCRE2_UTF | PCRE2_LITERAL);
}

std::vector<std::pair<size_t, size_t>> SplitPattern::Matches(std::string_view text) const {
  std::vector<std::pair<size_t, size_t>> matches;
  const MatchState state(code_.get());
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (size_t from = 0; from < text.size();) {
    int found = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, state.data,
                            state.context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(code_.get(), subject, text.size(), from,
                          PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, state.data, state.context);
    }
    if (found < 0) break;  // no further match; out of memory ends here too
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(state.data);
    if (ends[1] > ends[0]) matches.emplace_back(ends[0], ends[1]);
    from = ends[1] > ends[0] ? ends[1]
                             : ends[1] + CharacterLength(text, std::min(ends[1], text.size() - 1));
  }
  return matches;
}

}  // namespace attnrl::text
