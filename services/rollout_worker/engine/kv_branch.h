// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "common/attention/paged/plan.h"
#include "services/rollout_worker/engine/block_pool.h"

namespace attnrl::rollout {

// Where the keys and values of one sequence lie: in its ancestors' blocks up to where it left them,
// in blocks of its own from there on. A branch keeps its ancestors alive and gives its own blocks
// back when the last one who holds it lets go. What an ancestor adds later is not its descendants'.
// One thread; the pool must outlive it.
class KvBranch {
 public:
  // A sequence that shares nothing.
  static std::shared_ptr<KvBranch> Root(BlockPool& pool);
  // One that begins with the first `position` tokens of `parent`, for which it has places.
  static std::shared_ptr<KvBranch> Fork(std::shared_ptr<KvBranch> parent, int64_t position);

  ~KvBranch();
  KvBranch(const KvBranch&) = delete;
  KvBranch& operator=(const KvBranch&) = delete;

  // Places for the first `tokens` tokens, in new blocks where needed. False where the pool has too
  // few; nothing has changed then.
  bool Reserve(int64_t tokens);

  // Where it left its parent.
  int64_t begin() const { return begin_; }
  // Tokens that it has places for.
  int64_t tokens() const { return tokens_; }
  int64_t own_blocks() const { return static_cast<int64_t>(pieces_.size() - inherited_); }
  // Adds its own blocks and those of its ancestors: what it keeps from being given back.
  void AddBlocks(std::set<int32_t>* blocks) const;
  // The places of all of them, as attention::RowGroup wants them.
  const std::vector<attention::BlockPiece>& pieces() const { return pieces_; }

  // Blocks that a sequence of `tokens` tokens takes at most which leaves `branches` ancestors.
  static int64_t MostBlocks(int64_t tokens, int64_t branches);

 private:
  KvBranch(BlockPool& pool, std::shared_ptr<KvBranch> parent, int64_t begin);

  BlockPool& pool_;
  const std::shared_ptr<KvBranch> parent_;
  const int64_t begin_;
  int64_t tokens_ = 0;
  size_t inherited_ = 0;  // pieces that are an ancestor's
  std::vector<attention::BlockPiece> pieces_;
};

}  // namespace attnrl::rollout
