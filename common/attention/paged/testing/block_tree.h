// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/attention/paged/plan.h"

namespace attnrl::attention {

// For tests only: sequences that leave each other somewhere and lie in blocks of their own from
// there on.
class BlockTree {
 public:
  // A sequence without tokens. Returns its index.
  size_t Add() {
    sequences_.emplace_back();
    return sequences_.size() - 1;
  }
  // One that has the first `position` tokens of `parent`.
  size_t Fork(size_t parent, int64_t position) {
    Sequence child;
    for (BlockPiece piece : sequences_[parent].pieces) {
      if (child.tokens == position) break;
      piece.to =
          std::min<int32_t>(piece.to, piece.from + static_cast<int32_t>(position - child.tokens));
      child.tokens += piece.to - piece.from;
      child.pieces.push_back(piece);
    }
    child.inherited = child.pieces.size();
    sequences_.push_back(child);
    return sequences_.size() - 1;
  }
  // Places for `rows` more tokens, in new blocks where needed.
  void Extend(size_t sequence, int64_t rows) {
    Sequence& s = sequences_[sequence];
    for (int64_t i = 0; i < rows; ++i, ++s.tokens) {
      const auto offset = static_cast<int32_t>(s.tokens % kBlockTokens);
      if (offset == 0 || s.pieces.size() == s.inherited) {
        s.pieces.push_back({NextBlock(), offset, offset});
      }
      ++s.pieces.back().to;
    }
  }
  RowGroup Rows(size_t sequence, int64_t first, int64_t rows) const {
    return {first, rows, sequences_[sequence].pieces};
  }
  int64_t tokens(size_t sequence) const { return sequences_[sequence].tokens; }
  int64_t blocks() const { return blocks_; }

 private:
  struct Sequence {
    std::vector<BlockPiece> pieces;
    size_t inherited = 0;
    int64_t tokens = 0;
  };

  // In no order: 1, 0, 3, 2, ...
  int32_t NextBlock() { return static_cast<int32_t>(blocks_++ ^ 1); }

  std::vector<Sequence> sequences_;
  int64_t blocks_ = 0;
};

}  // namespace attnrl::attention
