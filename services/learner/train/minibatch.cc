// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/minibatch.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "common/base/philox.h"

namespace attnrl::learner {
namespace {

// Samples [begin, end) of one problem.
struct Range {
  size_t begin;
  size_t end;
};

std::vector<Range> ShuffledProblems(std::span<const SamplePlace> places,
                                    const MinibatchOptions& options) {
  std::vector<Range> problems;
  for (size_t i = 0; i < places.size(); ++i) {
    if (i == 0 || places[i].position != places[i - 1].position) problems.push_back({i, i});
    problems.back().end = i + 1;
  }
  RandomStream random({.seed = options.seed, .purpose = kShuffleMinibatch, .batch = options.batch});
  for (size_t i = problems.size(); i > 1; --i) {
    std::swap(problems[i - 1], problems[random.Below(i)]);
  }
  return problems;
}

}  // namespace

int64_t MinibatchCount(const MinibatchOptions& options, int64_t samples, int64_t responses) {
  if (options.steps_per_batch > 0) return std::min(options.steps_per_batch, responses);
  const double wanted =
      std::round(static_cast<double>(samples) /
                 static_cast<double>(options.minibatch_problems * options.initial_responses));
  return std::min(std::max<int64_t>(1, static_cast<int64_t>(wanted)), responses);
}

std::vector<std::vector<size_t>> CutMinibatches(std::span<const SamplePlace> places,
                                                const MinibatchOptions& options) {
  std::vector<size_t> order;       // samples in shuffled order of their problems
  std::vector<size_t> boundaries;  // positions in `order` at which a response begins, and the end
  for (const Range& problem : ShuffledProblems(places, options)) {
    for (size_t i = problem.begin; i < problem.end; ++i) {
      if (i == problem.begin || places[i].response != places[i - 1].response) {
        boundaries.push_back(order.size());
      }
      order.push_back(i);
    }
  }
  if (order.empty()) return {};
  const size_t responses = boundaries.size();
  boundaries.push_back(order.size());

  const double samples = static_cast<double>(order.size());
  const auto count = static_cast<size_t>(
      MinibatchCount(options, static_cast<int64_t>(order.size()), static_cast<int64_t>(responses)));

  std::vector<std::vector<size_t>> minibatches;
  size_t from = 0;  // index into boundaries
  for (size_t k = 1; k <= count; ++k) {
    const double share = samples * static_cast<double>(k) / static_cast<double>(count);
    // Every later minibatch keeps at least one response.
    const size_t last = responses - (count - k);
    size_t to = from + 1;
    const auto distance = [&](size_t b) {
      return std::abs(static_cast<double>(boundaries[b]) - share);
    };
    while (to < last && distance(to + 1) < distance(to)) ++to;
    if (k == count) to = responses;
    minibatches.emplace_back(order.begin() + static_cast<ptrdiff_t>(boundaries[from]),
                             order.begin() + static_cast<ptrdiff_t>(boundaries[to]));
    from = to;
  }
  return minibatches;
}

}  // namespace attnrl::learner
