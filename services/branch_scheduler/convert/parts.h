// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "proto/attnrl/v1/branch_scheduler.pb.h"
#include "proto/attnrl/v1/types.pb.h"
#include "services/branch_scheduler/types.h"

// Pieces that several conversions share. Only for the sources of this folder.
namespace attnrl::scheduler {

template <typename List>
auto GetList(const List& list) {
  return std::vector<typename List::value_type>(list.begin(), list.end());
}

template <typename T, typename List>
void SetList(const std::vector<T>& from, List* to) {
  to->Assign(from.begin(), from.end());
}

inline void SetVersion(const Version& from, v1::Version* to) {
  to->set_number(from.number);
  to->set_digest(from.digest);
}

inline Version GetVersion(const v1::Version& from) { return Version{from.number(), from.digest()}; }

// result.cc
void SetResult(const ItemResult& from, v1::ItemResult* to);
absl::StatusOr<ItemResult> GetResult(const v1::ItemResult& from);

inline void SetSpan(const Span& from, v1::Span* to) {
  to->set_start(from.start);
  to->set_end(from.end);
}

inline Span GetSpan(const v1::Span& from) { return Span{from.start(), from.end()}; }

}  // namespace attnrl::scheduler
