// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/attention/attention.h"
#include "common/attention/kv_cache.h"
#include "common/attention/testing/reference.h"

namespace attnrl::attention {

// For tests only: sequences that grow over a KV cache, some in each pass.

// The next `rows` rows of a sequence.
struct Piece {
  size_t sequence = 0;
  int64_t rows = 1;
};
using Schedule = std::vector<std::vector<Piece>>;

// Passes until every sequence is complete; of random sequences in random order, most of which add
// one row and some up to nine.
inline Schedule RandomSchedule(RandomStream& random, std::vector<int64_t> lengths) {
  Schedule schedule;
  const auto left = [&] { return std::reduce(lengths.begin(), lengths.end()) > 0; };
  while (left()) {
    std::vector<Piece> pass;
    for (size_t s = 0; s < lengths.size(); ++s) {
      if (lengths[s] == 0 || random.Below(3) == 0) continue;
      const auto wish = static_cast<int64_t>(random.Below(3) > 0 ? 1 : 1 + random.Below(9));
      const int64_t rows = std::min(wish, lengths[s]);
      lengths[s] -= rows;
      pass.insert(pass.begin() + static_cast<ptrdiff_t>(random.Below(pass.size() + 1)), {s, rows});
    }
    if (!pass.empty()) schedule.push_back(pass);
  }
  return schedule;
}

// Runs the passes of `schedule` over `cache`, whose two layers get unlike keys and values. Sequence
// s lies in slots[s]. `make(cache, rows)` makes the attention of a pass. Returns the rows of each
// sequence, [rows, layers, heads, head_dim].
template <typename Make>
std::vector<at::Tensor> RunSchedule(KvCache& cache, const std::vector<Inputs>& sequences,
                                    const std::vector<int64_t>& slots, const Schedule& schedule,
                                    const Make& make) {
  std::vector<int64_t> past(sequences.size(), 0);
  std::vector<std::vector<at::Tensor>> parts(sequences.size());
  for (const std::vector<Piece>& pass : schedule) {
    std::vector<SequenceRows> rows;
    std::vector<at::Tensor> q, k, v;
    for (const auto& [sequence, count] : pass) {
      const Inputs& inputs = sequences[sequence];
      rows.push_back({.slot = slots[sequence], .past = past[sequence], .rows = count});
      q.push_back(inputs.q.narrow(0, past[sequence], count));
      k.push_back(inputs.k.narrow(0, past[sequence], count));
      v.push_back(inputs.v.narrow(0, past[sequence], count));
      past[sequence] += count;
    }
    auto attention = make(cache, rows);
    const at::Tensor first = attention.Forward(0, at::cat(q), at::cat(k), at::cat(v));
    const at::Tensor second = attention.Forward(1, at::cat(q), at::cat(v), at::cat(k));
    const at::Tensor both = at::stack({first, second}, 1);
    int64_t row = 0;
    for (const auto& [sequence, count] : pass) {
      parts[sequence].push_back(both.narrow(0, row, count));
      row += count;
    }
  }
  std::vector<at::Tensor> results;
  for (const std::vector<at::Tensor>& part : parts) results.push_back(at::cat(part));
  return results;
}

// What RunSchedule returns for a sequence, by the formula in float64.
inline at::Tensor ScheduleByFormula(const Inputs& inputs) {
  const std::vector<std::vector<int64_t>> seen = CausalRows({inputs.q.size(0)});
  return at::stack(
      {AttendByFormula(inputs, seen), AttendByFormula(Inputs{inputs.q, inputs.v, inputs.k}, seen)},
      1);
}

inline std::vector<Inputs> RandomSequences(RandomStream& random,
                                           const std::vector<int64_t>& lengths,
                                           const Heads& heads = {}) {
  std::vector<Inputs> sequences;
  for (const int64_t length : lengths) sequences.push_back(RandomInputs(random, length, heads));
  return sequences;
}

// `count` different slots below `slots`, in no order.
inline std::vector<int64_t> RandomSlots(RandomStream& random, size_t count, int64_t slots) {
  std::vector<int64_t> all(static_cast<size_t>(slots));
  std::iota(all.begin(), all.end(), int64_t{0});
  for (size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.Below(i)]);
  all.resize(count);
  return all;
}

}  // namespace attnrl::attention
