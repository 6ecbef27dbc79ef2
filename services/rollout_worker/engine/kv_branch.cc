// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/kv_branch.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace attnrl::rollout {
namespace {

using attention::BlockPiece;
using attention::kBlockTokens;

}  // namespace

std::shared_ptr<KvBranch> KvBranch::Root(BlockPool& pool) {
  return std::shared_ptr<KvBranch>(new KvBranch(pool, nullptr, 0));
}

std::shared_ptr<KvBranch> KvBranch::Fork(std::shared_ptr<KvBranch> parent, int64_t position) {
  BlockPool& pool = parent->pool_;
  return std::shared_ptr<KvBranch>(new KvBranch(pool, std::move(parent), position));
}

KvBranch::KvBranch(BlockPool& pool, std::shared_ptr<KvBranch> parent, int64_t begin)
    : pool_(pool), parent_(std::move(parent)), begin_(begin), tokens_(begin) {
  if (!parent_) return;
  assert(begin <= parent_->tokens_);
  int64_t left = begin;
  for (BlockPiece piece : parent_->pieces_) {
    if (left == 0) break;
    piece.to = static_cast<int32_t>(std::min<int64_t>(piece.to, piece.from + left));
    left -= piece.to - piece.from;
    pieces_.push_back(piece);
  }
  inherited_ = pieces_.size();
}

KvBranch::~KvBranch() {
  for (size_t i = inherited_; i < pieces_.size(); ++i) pool_.Free(pieces_[i].block);
}

bool KvBranch::Reserve(int64_t tokens) {
  if (tokens <= tokens_) return true;
  const auto offset = static_cast<int32_t>(tokens_ % kBlockTokens);
  const bool inside = offset > 0 && pieces_.size() > inherited_;
  const int64_t first = tokens_ / kBlockTokens + (inside ? 1 : 0);
  const int64_t more = (tokens + kBlockTokens - 1) / kBlockTokens - first;
  if (more > pool_.free()) return false;
  if (inside) pieces_.back().to = kBlockTokens;
  for (int64_t i = 0; i < more; ++i) {
    pieces_.push_back({pool_.Allocate(), i == 0 && !inside ? offset : 0, kBlockTokens});
  }
  tokens_ = tokens;
  pieces_.back().to = static_cast<int32_t>((tokens - 1) % kBlockTokens) + 1;
  return true;
}

void KvBranch::AddBlocks(std::set<int32_t>* blocks) const {
  for (const KvBranch* branch = this; branch != nullptr; branch = branch->parent_.get()) {
    for (size_t i = branch->inherited_; i < branch->pieces_.size(); ++i) {
      blocks->insert(branch->pieces_[i].block);
    }
  }
}

int64_t KvBranch::MostBlocks(int64_t tokens, int64_t branches) {
  return (tokens + kBlockTokens - 1) / kBlockTokens + branches;
}

}  // namespace attnrl::rollout
