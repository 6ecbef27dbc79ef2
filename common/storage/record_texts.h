// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attnrl::storage {

// The longest line, and the longest list of records: far beyond what a run writes, and within the
// memory of a machine that trains. A small compressed file may hold a line without an end.
inline constexpr int64_t kMaxRecordBytes = int64_t{1} << 30;

// The text of one record and where it stands. No text outlives the next call of Next.
struct RecordText {
  std::string_view text = {};
  int64_t line = 0;        // that it begins on, from 1
  int64_t record = 0;      // of a list: its place in it, from 1; else 0
  std::string where = {};  // "file:line"; of a list's record "file:line (record 3)"
};

// Cuts a stream into records, whatever its file is called: one a line, or the elements of one JSON
// list that is the whole file. Only the latter where `lists` is true and `[` is followed by an
// object or by nothing else on its line; all other texts are lines. What an element holds is not
// looked into, but where it ends. Memory: a line, or the whole of a list. One owner.
class RecordTexts {
 public:
  // `path` is how errors and places name the stream, which must outlive this. `max_bytes`: of a
  // line or a list.
  RecordTexts(std::istream& stream, std::string path, bool lists,
              int64_t max_bytes = kMaxRecordBytes)
      : stream_(stream), path_(std::move(path)), lists_(lists), max_bytes_(max_bytes) {}

  // The next record; false at the end. InputError at file:line for a line or list that is too long,
  // and for a list that isn't closed or has something behind it; nothing can be read afterwards.
  absl::StatusOr<bool> Next(RecordText* record);

 private:
  absl::StatusOr<bool> NextOfList(RecordText* record);
  // Reads the next line into `line_text_`; false where there is none.
  absl::StatusOr<bool> ReadLine();
  // Reads the rest of a list whose first line is `line_text_`.
  absl::Status BeginList(size_t bracket);
  void PassOverBlanks();

  std::istream& stream_;
  const std::string path_;
  const bool lists_;
  const int64_t max_bytes_;
  int64_t line_ = 0;
  std::string line_text_ = {};
  bool begun_ = false;  // a record, or a list
  // Of a list.
  bool in_list_ = false;
  std::string list_ = {};  // from its bracket on
  size_t at_ = 0;
  int64_t records_ = 0;
};

}  // namespace attnrl::storage
