// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/text/split_pattern.h"

namespace attnrl::text {

// "pre_tokenizer" of tokenizer.json: cuts a text into the pieces that BPE merges within. Supported:
// Sequence, Split (behaviour Isolated, or Removed with invert), Digits and ByteLevel, which must
// occur. Immutable and thread-safe.
class PreTokenizer {
 public:
  // `file` names the file in errors, which are InputErrors that name the key.
  static absl::StatusOr<PreTokenizer> Parse(const nlohmann::json& value, const std::string& file);

  // Pieces of `text` (UTF-8) from left to right; views into it.
  std::vector<std::string_view> Split(std::string_view text) const;

 private:
  struct Stage {
    SplitPattern pattern;
    bool keep_gaps;  // text between matches is a piece of its own, or dropped
  };

  absl::Status Add(const nlohmann::json& value, const std::string& where);
  absl::Status AddSplit(const nlohmann::json& value, const std::string& where);
  absl::Status AddByteLevel(const nlohmann::json& value, const std::string& where);
  absl::Status AddStage(absl::StatusOr<SplitPattern> pattern, bool keep_gaps,
                        const std::string& where);

  std::vector<Stage> stages_;
  bool byte_level_ = false;
};

}  // namespace attnrl::text
