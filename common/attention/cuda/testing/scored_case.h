// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/attention/cuda/paged_decode.h"
#include "common/attention/cuda/score_updates.h"
#include "common/attention/cuda/testing/paged_case.h"

namespace attnrl::attention {

// For tests and measurements only: rows of a pass whose attention to earlier steps is added up, and
// what becomes of the sums.

// Sequences of one row each, of which the first two are scored: steps that end in the middle of
// stretches of keys, at their ends, and several in one. Sums are those of layer 1.
struct ScoredCase {
  static constexpr int64_t kStride = 8;
  static constexpr int64_t kLayers = 2;
  static constexpr float kBefore = 0.5F;  // every sum, before the pass

  int64_t heads = 0;
  std::vector<PagedSequence> sequences = {
      {.tokens = 300}, {.shared = 250, .tokens = 700}, {.tokens = 90}};
  std::vector<std::vector<int32_t>> ends = {{96, 97, 98, 128, 170, 299},
                                            {60, 64, 250, 251, 600, 650}};
  std::vector<int32_t> first_keys = {40, 33};
  std::vector<int32_t> scored_of = {0, 1, -1};

  int64_t RowSums() const { return kLayers * heads * kStride; }
  std::vector<float> SumsBefore() const {
    return std::vector<float>(ends.size() * static_cast<size_t>(RowSums()), kBefore);
  }
  std::vector<int32_t> AllEnds() const {
    std::vector<int32_t> all;
    for (const auto& of_row : ends) all.insert(all.end(), of_row.begin(), of_row.end());
    return all;
  }
  // Pieces of all rows, of a head.
  int64_t Pieces() const {
    int64_t pieces = 0;
    for (size_t i = 0; i < ends.size(); ++i) pieces += PiecesOf(i);
    return pieces;
  }
  // `sums` as SumsBefore, wherever they lie.
  std::vector<DecodeScoredRow> Rows(float* sums) const {
    std::vector<DecodeScoredRow> rows;
    int64_t first_end = 0, first_piece = 0;
    for (size_t i = 0; i < ends.size(); ++i) {
      rows.push_back({.first_key = first_keys[i],
                      .steps = static_cast<int32_t>(ends[i].size()),
                      .first_end = first_end,
                      .sums = sums + static_cast<int64_t>(i) * RowSums(),
                      .stride = kStride,
                      .first_piece = first_piece});
      first_end += static_cast<int64_t>(ends[i].size());
      first_piece += PiecesOf(i);
    }
    return rows;
  }
  // The sums after the pass over layer 1, in the order of SumsBefore; `reference` is that of all
  // sequences.
  std::vector<double> SumsAfter(const PagedReference& reference) const {
    std::vector<double> sums(ends.size() * static_cast<size_t>(RowSums()), double{kBefore});
    for (size_t i = 0; i < ends.size(); ++i) {
      for (int64_t head = 0; head < heads; ++head) {
        const auto row_head = i * static_cast<size_t>(heads) + static_cast<size_t>(head);
        auto key = static_cast<size_t>(first_keys[i]);
        for (size_t step = 0; step < ends[i].size(); ++step) {
          double& sum = sums[i * static_cast<size_t>(RowSums()) +
                             static_cast<size_t>((heads + head) * kStride) + step];
          for (; key < static_cast<size_t>(ends[i][step]); ++key) sum += reference.p[row_head][key];
        }
      }
    }
    return sums;
  }

 private:
  int64_t PiecesOf(size_t i) const {
    return DecodeScoredRow::StepPieces(first_keys[i], ends[i].back(),
                                       static_cast<int64_t>(ends[i].size()));
  }
};

// Sums of several responses, of which some end a step with their queries and one begins anew.
struct ScoreUpdateCase {
  struct Response {
    int64_t stride = 0;
    int32_t steps = 0;
    float queries = 0;
  };
  int32_t rows = 21;  // no multiple of a block's
  std::vector<Response> responses = {{.stride = 40, .steps = 33, .queries = 7},
                                     {.stride = 3, .steps = 1, .queries = 1},
                                     {.stride = 70, .steps = 70, .queries = 31},
                                     {.stride = 5, .steps = 4, .queries = 0}};

  int64_t Size() const {
    int64_t size = 0;
    for (const Response& response : responses) size += rows * response.stride;
    return size;
  }
  std::vector<float> Numbers(uint64_t seed) const {
    RandomStream random({.seed = seed});
    std::vector<float> numbers(static_cast<size_t>(Size()));
    for (float& number : numbers) number = static_cast<float>(4 * random.Uniform());
    return numbers;
  }
  // `current` and `total` as Size says, wherever they lie.
  std::vector<ScoreUpdate> Updates(float* current, float* total) const {
    std::vector<ScoreUpdate> updates;
    int64_t first = 0;
    for (const Response& response : responses) {
      updates.push_back({.current = current + first,
                         .total = total + first,
                         .stride = response.stride,
                         .steps = response.steps,
                         .queries = response.queries});
      first += rows * response.stride;
    }
    return updates;
  }
  // What becomes of both, [2, Size()].
  std::vector<double> InDouble(const std::vector<float>& current,
                               const std::vector<float>& total) const {
    std::vector<double> after(current.begin(), current.end());
    after.insert(after.end(), total.begin(), total.end());
    size_t first = 0;
    for (const Response& response : responses) {
      for (int64_t at = 0; at < rows * response.stride; ++at, ++first) {
        if (at % response.stride >= response.steps) continue;
        double& sum = after[first + current.size()];
        sum = response.queries == 0 ? 0 : sum + after[first] / double{response.queries};
        after[first] = 0;
      }
    }
    return after;
  }
};

// The greatest difference of `found` to `expected`, as long.
inline double GreatestDifference(const std::vector<float>& found,
                                 const std::vector<double>& expected) {
  double greatest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(static_cast<double>(found[i]) - expected[i]);
    greatest = std::isnan(difference) ? HUGE_VAL : std::max(greatest, difference);
  }
  return greatest;
}

}  // namespace attnrl::attention
