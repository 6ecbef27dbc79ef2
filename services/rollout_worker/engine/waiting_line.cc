// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/waiting_line.h"

#include <utility>

namespace attnrl::rollout {

void WaitingLine::Push(std::unique_ptr<Sequence> sequence) {
  const Request& request = sequence->request;
  const Place place{request.version,
                    {sequence->samples() ? 0 : 1, -request.max_new_tokens, sequence->arrival}};
  places_[request.id] = place;
  lines_[place.version].emplace(place.key, std::move(sequence));
}

std::unique_ptr<Sequence> WaitingLine::Take(uint64_t id, const Place& place) {
  const auto line = lines_.find(place.version);
  auto node = line->second.extract(place.key);
  if (line->second.empty()) lines_.erase(line);
  places_.erase(id);
  return std::move(node.mapped());
}

std::unique_ptr<Sequence> WaitingLine::Remove(uint64_t id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return nullptr;
  return Take(id, Place(found->second));
}

std::unique_ptr<Sequence> WaitingLine::PopFront(uint32_t version) {
  const auto& [key, sequence] = *lines_.at(version).begin();
  return Take(sequence->request.id, {version, Key(key)});
}

}  // namespace attnrl::rollout
