// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "services/branch_scheduler/types.h"

// Which item is handed out next, and who gets it: data in, data out.
// Nothing here influences what a run learns. Any thread.
namespace attnrl::scheduler {

// What is known of an item before it is sampled.
struct ItemSize {
  uint32_t samples = 1;
  uint64_t tokens = 0;  // expected, over all samples
};

// An item's place in the line; the smaller goes out first. Older weights come before newer ones, so
// that workers switch forwards; batches that the learner waits for before later ones; in a batch
// initial responses before continuations, because more follows them; then the longest expected
// work, so that none of it begins last.
struct Turn {
  uint32_t version = 0;
  ItemId item = {};
  ItemSize size = {};
};
bool operator<(const Turn& a, const Turn& b);

// How full a worker is; the smallest gets the next item. `name` must outlive it.
struct Load {
  double share = 0;     // of its credits in use
  uint64_t tokens = 0;  // expected of what it holds
  std::string_view name = {};
};
bool operator<(const Load& a, const Load& b);

// Whether an item goes to the worker that had others of its problem, and shares their keys and
// values, instead of to the least loaded one. `last`: there are fewer items left than workers that
// take one, so that each goes where it is sampled fastest.
bool StaysHome(const Load& home, const Load& least, bool last);

}  // namespace attnrl::scheduler
