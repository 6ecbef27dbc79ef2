// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/placement.h"

#include <tuple>

#include "services/branch_scheduler/item_id.h"

namespace attnrl::scheduler {
namespace {

// A home may have so much more of its credits in use than the least loaded worker.
constexpr double kHomeShare = 0.25;

}  // namespace

bool operator<(const Turn& a, const Turn& b) {
  const ItemKey key_a = KeyOfItem(a.item), key_b = KeyOfItem(b.item);
  return std::tie(a.version, key_a.batch, key_a.kind, b.size.tokens, a.item) <
         std::tie(b.version, key_b.batch, key_b.kind, a.size.tokens, b.item);
}

bool operator<(const Load& a, const Load& b) {
  return std::tie(a.share, a.tokens, a.name) < std::tie(b.share, b.tokens, b.name);
}

bool StaysHome(const Load& home, const Load& least, bool last) {
  return !last && home.share <= least.share + kHomeShare;
}

}  // namespace attnrl::scheduler
