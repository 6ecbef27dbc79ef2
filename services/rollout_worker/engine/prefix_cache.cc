// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/prefix_cache.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace attnrl::rollout {

std::shared_ptr<Prefix> PrefixCache::Make(const PrefixId& id, std::shared_ptr<Prefix> parent,
                                          int64_t begin) {
  auto prefix = std::make_shared<Prefix>();
  prefix->id = id;
  prefix->serial = ++next_serial_;
  prefix->kv = parent ? KvBranch::Fork(parent->kv, begin) : KvBranch::Root(pool_);
  prefix->computed = prefix->kv->begin();
  prefix->parent = std::move(parent);
  return prefix;
}

// The text of this name, if it and `text` are the same as far as both go.
std::shared_ptr<Prefix> PrefixCache::BeginningLike(const Key& key,
                                                   std::span<const int32_t> text) const {
  const auto there = prefixes_.find(key);
  if (there == prefixes_.end()) return nullptr;
  const std::vector<int32_t>& ids = there->second->ids;
  const auto common = static_cast<ptrdiff_t>(std::min(ids.size(), text.size()));
  return std::equal(ids.begin(), ids.begin() + common, text.begin()) ? there->second : nullptr;
}

absl::StatusOr<std::shared_ptr<Prefix>> PrefixCache::Find(uint64_t weights,
                                                          std::span<const SharedPrefix> shared,
                                                          std::span<const int32_t> prompt) {
  std::shared_ptr<Prefix> found;
  int64_t before = 0;
  for (const auto& [id, wanted] : shared) {
    if (wanted < before || wanted > static_cast<int64_t>(prompt.size())) {
      return absl::InvalidArgumentError(absl::StrCat("a shared text of ", wanted, " tokens; from ",
                                                     before, " to ", prompt.size(),
                                                     " are allowed"));
    }
    before = wanted;
    const auto tokens = std::min(static_cast<size_t>(wanted), prompt.size() - 1);
    const std::span<const int32_t> text = prompt.first(tokens);
    std::shared_ptr<Prefix> prefix = BeginningLike({weights, id}, text);
    if (!prefix) {
      // It leaves its parent where that one's text ends, which must have places for it by then.
      const size_t begin = found ? std::min(found->ids.size(), tokens) : 0;
      if (found && !Reserve(*found->kv, static_cast<int64_t>(begin))) {
        return absl::ResourceExhaustedError("no free blocks for a shared text");
      }
      prefix = Make(id, found, static_cast<int64_t>(begin));
      std::shared_ptr<Prefix>& place = prefixes_[{weights, id}];
      if (place) by_use_.erase(place->used);
      place = prefix;
    }
    Touch({weights, id}, *prefix);
    const auto known = static_cast<ptrdiff_t>(std::min(prefix->ids.size(), tokens));
    prefix->ids.insert(prefix->ids.end(), text.begin() + known, text.end());
    found = std::move(prefix);
  }
  return found;
}

void PrefixCache::Add(uint64_t weights, const PrefixId& id, std::shared_ptr<Prefix> parent,
                      std::vector<int32_t> ids, std::shared_ptr<KvBranch> kv, int64_t computed) {
  std::shared_ptr<Prefix>& prefix = prefixes_[{weights, id}];
  if (prefix) return;  // sampled twice; whoever uses the first one goes on with it
  prefix = std::make_shared<Prefix>();
  prefix->id = id;
  prefix->serial = ++next_serial_;
  prefix->parent = std::move(parent);
  prefix->ids = std::move(ids);
  prefix->kv = std::move(kv);
  prefix->computed = computed;
  Touch({weights, id}, *prefix);
}

void PrefixCache::Touch(const Key& key, Prefix& prefix) {
  by_use_.erase(prefix.used);
  prefix.used = ++clock_;
  by_use_[prefix.used] = key;
}

bool PrefixCache::Reserve(KvBranch& kv, int64_t tokens) {
  while (!kv.Reserve(tokens)) {
    if (!Evict()) return false;
  }
  return true;
}

bool PrefixCache::Evict() {
  for (auto use = by_use_.begin(); use != by_use_.end(); ++use) {
    const auto oldest = prefixes_.find(use->second);
    if (oldest->second.use_count() > 1) continue;
    prefixes_.erase(oldest);
    by_use_.erase(use);
    return true;
  }
  return false;
}

void PrefixCache::AddBlocks(std::set<int32_t>* blocks) const {
  for (const auto& [key, prefix] : prefixes_) prefix->kv->AddBlocks(blocks);
}

void PrefixCache::Drop(uint64_t weights) {
  std::erase_if(prefixes_, [weights](const auto& entry) { return entry.first.first == weights; });
  std::erase_if(by_use_, [weights](const auto& entry) { return entry.second.first == weights; });
}

}  // namespace attnrl::rollout
