// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/text/tokenizer_file.h"

namespace attnrl::text {

// Byte-pair merging (Sennrich et al. 2016) over bytes: the pair of lowest rank is merged first, the
// leftmost of equals; n bytes cost O(n log n). Immutable and thread-safe.
class BytePairs {
 public:
  // InputErrors name the file and key, e.g. a merge whose result is no token.
  static absl::StatusOr<BytePairs> Make(const TokenizerFile& file);

  // Appends the ids of one piece of the pre-tokenizer. A byte that the vocabulary lacks is left
  // out, as in the library that wrote the file.
  void Encode(std::string_view piece, std::vector<int32_t>* ids) const;

 private:
  struct Merge {
    int32_t rank = 0;
    int32_t id = 0;  // of the merged token
  };
  const Merge* Find(int32_t left, int32_t right) const;

  std::array<int32_t, 256> byte_ids_{};  // -1: not in the vocabulary
  absl::flat_hash_map<uint64_t, Merge> merges_;
  // Pieces that are tokens are taken whole, without merging (model.ignore_merges); else empty.
  absl::flat_hash_map<std::string, int32_t> whole_pieces_;
};

}  // namespace attnrl::text
