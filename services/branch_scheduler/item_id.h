// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// Where a work item belongs. Its number is a pure function of that, so open items need not be
// stored: a restarted scheduler finds the same ones again.
struct ItemKey {
  uint32_t batch = 0;
  uint32_t position = 0;  // problem in its batch, below kMaxPositions
  uint32_t response = 0;  // initial response of the problem, below kMaxResponses
  ItemKind kind = ItemKind::kInitial;
  bool operator==(const ItemKey&) const = default;
};

inline constexpr uint32_t kMaxPositions = 1u << 20;
inline constexpr uint32_t kMaxResponses = 1u << 11;

// (batch + 1) in bits 32.., position in 12..31, response in 1..11, kind in bit 0. Never 0; numbers
// order by batch, position, response, kind.
inline ItemId IdOf(const ItemKey& key) {
  return ItemId{((uint64_t{key.batch} + 1) << 32) | (uint64_t{key.position} << 12) |
                (uint64_t{key.response} << 1) | (key.kind == ItemKind::kContinuation ? 1u : 0u)};
}

inline ItemKey KeyOfItem(ItemId id) {
  const uint64_t item = Number(id);
  return ItemKey{static_cast<uint32_t>((item >> 32) - 1),
                 static_cast<uint32_t>((item >> 12) & (kMaxPositions - 1)),
                 static_cast<uint32_t>((item >> 1) & (kMaxResponses - 1)),
                 (item & 1) != 0 ? ItemKind::kContinuation : ItemKind::kInitial};
}

// The same for all items of a problem of a batch; orders by batch, then position.
inline uint64_t ProblemOf(ItemId id) { return Number(id) >> 12; }

// Nodes of a problem's tree, unique in the problem and part of every random key: initial response i
// is node i; child c at branch point p of response i is node n + (i * N + p) * T + c, with n
// initial responses, N points a response and T children a point.
inline uint32_t ContinuationNode(uint32_t initial_responses, uint32_t points, uint32_t children,
                                 uint32_t response, uint32_t point, uint32_t child) {
  return initial_responses + (response * points + point) * children + child;
}

}  // namespace attnrl::scheduler
