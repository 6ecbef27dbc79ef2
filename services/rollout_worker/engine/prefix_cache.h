// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/rollout_worker/engine/kv_branch.h"
#include "services/rollout_worker/engine/request.h"

namespace attnrl::rollout {

// A text that sequences share: computed once, before any of them samples.
struct Prefix {
  PrefixId id = {};
  uint64_t serial = 0;                       // in the order of their making
  std::shared_ptr<Prefix> parent = nullptr;  // of which it has the first kv->begin() tokens
  std::vector<int32_t> ids = {};             // from the first token of the prompt on
  std::shared_ptr<KvBranch> kv = nullptr;
  int64_t computed = 0;  // tokens whose keys and values exist; those before kv->begin() are the
                         // parent's
  int64_t planned = 0;   // more of them in the step that is being planned
  uint64_t used = 0;     // when it was last asked for

  int64_t begin() const { return kv->begin(); }
};

// The texts in the KV cache, by the weights that computed them and their name. One that nobody uses
// any more stays until its blocks are needed or its weights go. One thread; the pool must outlive
// it. Memory: the blocks, and the token ids.
class PrefixCache {
 public:
  explicit PrefixCache(BlockPool& pool) : pool_(pool) {}

  // The longest text of `shared`, with its ancestors; what isn't there yet is made of `prompt`, of
  // which the last token is left out, since each sequence computes that one itself. Null where
  // nothing is shared. A text of the same name and other tokens, as of another run under the same
  // weights, is forgotten. INVALID_ARGUMENT where `shared` is not in order; RESOURCE_EXHAUSTED
  // without free blocks.
  absl::StatusOr<std::shared_ptr<Prefix>> Find(uint64_t weights,
                                               std::span<const SharedPrefix> shared,
                                               std::span<const int32_t> prompt);
  // Makes a sequence that has ended a text: `ids` of which `computed` are in `kv`.
  void Add(uint64_t weights, const PrefixId& id, std::shared_ptr<Prefix> parent,
           std::vector<int32_t> ids, std::shared_ptr<KvBranch> kv, int64_t computed);
  // KvBranch::Reserve, for which texts are forgotten that nobody uses. False where that isn't
  // enough.
  bool Reserve(KvBranch& kv, int64_t tokens);
  // Forgets the text unused for longest. False when all are in use.
  bool Evict();
  // Forgets all texts of these weights; sequences that use some keep them.
  void Drop(uint64_t weights);

  size_t size() const { return prefixes_.size(); }
  // Adds the blocks that the texts keep.
  void AddBlocks(std::set<int32_t>* blocks) const;

 private:
  using Key = std::pair<uint64_t, PrefixId>;

  std::shared_ptr<Prefix> BeginningLike(const Key& key, std::span<const int32_t> text) const;
  std::shared_ptr<Prefix> Make(const PrefixId& id, std::shared_ptr<Prefix> parent, int64_t begin);
  void Touch(const Key& key, Prefix& prefix);

  BlockPool& pool_;
  uint64_t clock_ = 0;
  uint64_t next_serial_ = 0;
  std::map<Key, std::shared_ptr<Prefix>> prefixes_;
  std::map<uint64_t, Key> by_use_;  // those of prefixes_, unused for longest first
};

}  // namespace attnrl::rollout
