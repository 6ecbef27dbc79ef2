// SPDX-License-Identifier: Apache-2.0
#include "common/storage/record_texts.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::storage {
namespace {

constexpr size_t kRead = size_t{64} << 10;  // bytes read at once
constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Where the bracket of a list of records stands that begins on this line; npos where none does. A
// list of numbers is no list of records but one line that is no record.
size_t ListBracket(std::string_view line, bool first_line) {
  const size_t begin = first_line && line.substr(0, 3) == kByteOrderMark ? 3 : 0;
  const size_t bracket = line.find_first_not_of(kBlanks, begin);
  if (bracket == std::string_view::npos || line[bracket] != '[') return std::string_view::npos;
  const size_t next = line.find_first_not_of(kBlanks, bracket + 1);
  const bool records = next == std::string_view::npos || line[next] == '{' || line[next] == ']';
  return records ? bracket : std::string_view::npos;
}

// Where the element that begins at `at` ends: at the comma or bracket behind it; npos where the
// text ends first.
size_t ElementEnd(std::string_view text, size_t at) {
  size_t depth = 0;
  for (bool quoted = false; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') quoted = !quoted;
    if (quoted) {
      if (c == '\\') ++at;
      continue;
    }
    if (depth == 0 && (c == ',' || c == ']')) return at;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
  }
  return std::string_view::npos;
}

}  // namespace

absl::StatusOr<bool> RecordTexts::Next(RecordText* record) {
  if (in_list_) return NextOfList(record);
  while (true) {
    ATTNRL_ASSIGN_OR_RETURN(const bool found, ReadLine());
    if (!found) return false;
    if (line_text_.find_first_not_of(kBlanks) == std::string::npos) continue;
    if (lists_ && !begun_) {
      const size_t bracket = ListBracket(line_text_, line_ == 1);
      if (bracket != std::string_view::npos) {
        ATTNRL_RETURN_IF_ERROR(BeginList(bracket));
        return NextOfList(record);
      }
    }
    begun_ = true;
    *record = {.text = line_text_, .line = line_, .where = absl::StrCat(path_, ":", line_)};
    return true;
  }
}

absl::StatusOr<bool> RecordTexts::ReadLine() {
  line_text_.clear();
  std::array<char, kRead> piece;
  while (true) {
    stream_.getline(piece.data(), piece.size());
    if (stream_.bad()) return false;
    // The end of a line is counted and not stored; a piece that it doesn't fit in is a failure.
    const auto count = static_cast<size_t>(stream_.gcount());
    line_text_.append(piece.data(), stream_.good() ? count - 1 : count);
    if (static_cast<int64_t>(line_text_.size()) > max_bytes_) {
      stream_.setstate(std::ios::failbit);
      return InputError(absl::StrCat(path_, ":", line_ + 1), "the line is too long",
                        absl::StrCat("at most ", max_bytes_, " bytes are read"));
    }
    if (stream_.fail() && count > 0) {
      stream_.clear();
      continue;
    }
    const bool found = stream_.good() || !line_text_.empty();
    if (found) ++line_;
    return found;
  }
}

absl::Status RecordTexts::BeginList(size_t bracket) {
  in_list_ = true;
  begun_ = true;
  list_ = absl::StrCat(line_text_.substr(bracket), "\n");
  at_ = 0;
  std::array<char, kRead> piece;
  while (stream_.read(piece.data(), piece.size()) || stream_.gcount() > 0) {
    list_.append(piece.data(), static_cast<size_t>(stream_.gcount()));
    if (static_cast<int64_t>(list_.size()) <= max_bytes_) continue;
    at_ = list_.size();
    return InputError(absl::StrCat(path_, ":", line_), "the list is too long",
                      absl::StrCat("at most ", max_bytes_,
                                   " bytes are read; a file with one JSON object a line may be "
                                   "longer"));
  }
  return absl::OkStatus();
}

void RecordTexts::PassOverBlanks() {
  while (at_ < list_.size() && kBlanks.find(list_[at_]) != std::string_view::npos) {
    if (list_[at_++] == '\n') ++line_;
  }
}

absl::StatusOr<bool> RecordTexts::NextOfList(RecordText* record) {
  // What ended the element before: nothing is read behind a bracket or the end of the text.
  const bool first = at_ == 0;
  if (at_ >= list_.size()) return false;
  const char before = list_[at_++];
  PassOverBlanks();
  const bool closed = before == ']' || (first && at_ < list_.size() && list_[at_] == ']');
  if (closed) {
    if (before != ']') ++at_;
    PassOverBlanks();
    if (at_ < list_.size()) {
      at_ = list_.size();
      return InputError(absl::StrCat(path_, ":", line_), "something stands behind the list",
                        "a file is one list of JSON objects, or has one JSON object a line");
    }
    return false;
  }
  const size_t begin = at_;
  const int64_t number = ++records_;
  const std::string where = absl::StrCat(path_, ":", line_, " (record ", number, ")");
  at_ = ElementEnd(list_, begin);
  if (at_ == std::string_view::npos) {
    at_ = list_.size();
    return InputError(where, "the file ends within the list", "a list of JSON objects ends with ]");
  }
  const std::string_view all = std::string_view(list_).substr(begin, at_ - begin);
  const size_t last = all.find_last_not_of(kBlanks);
  *record = {.text = all.substr(0, last == std::string_view::npos ? 0 : last + 1),
             .line = line_,
             .record = number,
             .where = where};
  line_ += std::count(all.begin(), all.end(), '\n');
  return true;
}

}  // namespace attnrl::storage
