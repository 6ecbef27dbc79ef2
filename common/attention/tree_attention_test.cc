// SPDX-License-Identifier: Apache-2.0
#include "common/attention/tree_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <tuple>

#include "common/attention/dense_attention.h"
#include "common/attention/testing/one_thread.h"
#include "common/attention/testing/reference.h"

namespace attnrl::attention {
namespace {

using Sequence = std::vector<int64_t>;

struct Shared {
  Sequence lengths;
  Sequence row_of;
  int64_t rows = 0;
};

// Rows for sequences of tokens, which come in lexicographic order.
Shared Share(std::vector<Sequence> sequences) {
  std::sort(sequences.begin(), sequences.end());
  Shared layout;
  Sequence before, before_rows;
  for (const Sequence& tokens : sequences) {
    const auto common = static_cast<size_t>(
        std::mismatch(before.begin(), before.end(), tokens.begin(), tokens.end()).first -
        before.begin());
    Sequence rows(before_rows.begin(), before_rows.begin() + static_cast<ptrdiff_t>(common));
    while (rows.size() < tokens.size()) rows.push_back(layout.rows++);
    layout.lengths.push_back(static_cast<int64_t>(tokens.size()));
    layout.row_of.insert(layout.row_of.end(), rows.begin(), rows.end());
    before = tokens;
    before_rows = rows;
  }
  return layout;
}

// Prompts, responses and continuations with lengths of up to some hundred tokens.
std::vector<Sequence> RandomSequences(RandomStream& random) {
  std::vector<Sequence> sequences;
  const auto extend = [&](Sequence& sequence, uint64_t most) {
    for (uint64_t left = 1 + random.Below(most); left > 0; --left) {
      sequence.push_back(static_cast<int64_t>(random.Below(1'000'000)));
    }
  };
  for (uint64_t i = 4 + random.Below(9); i > 0; --i) {
    Sequence sequence;
    if (!sequences.empty() && random.Below(4) > 0) {
      const Sequence& parent = sequences[random.Below(sequences.size())];
      sequence.assign(parent.begin(),
                      parent.begin() + static_cast<ptrdiff_t>(random.Below(parent.size() + 1)));
    }
    if (sequence.empty() || random.Below(8) > 0) extend(sequence, i % 2 == 0 ? 150 : 9);
    sequences.push_back(sequence);
  }
  return sequences;
}

struct Result {
  at::Tensor result, q, k, v;
};

Result Run(const Inputs& inputs, at::ScalarType dtype, Attention& attention) {
  const auto leaf = [&](const at::Tensor& x) {
    return x.to(dtype).clone().set_requires_grad(true);
  };
  const Inputs leaves = {leaf(inputs.q), leaf(inputs.k), leaf(inputs.v)};
  const at::Tensor result = attention.Forward(0, leaves.q, leaves.k, leaves.v);
  const at::Tensor weights = at::cos(at::arange(result.numel()).to(at::kDouble)).to(dtype);
  (result.flatten() * weights).sum().backward();
  return {result.detach(), leaves.q.grad(), leaves.k.grad(), leaves.v.grad()};
}

double Relative(const at::Tensor& found, const at::Tensor& expected) {
  return ((found.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

void ExpectDenseAttention(const Shared& layout, const Heads& heads, at::ScalarType dtype,
                          double tolerance, RandomStream& random) {
  const Inputs inputs = RandomInputs(random, layout.rows, heads);
  DenseAttention dense(layout.lengths, layout.row_of);
  TreeAttention tree(TreeSegments(layout.lengths, layout.row_of));
  const Result expected = Run(inputs, at::kDouble, dense);
  const Result found = Run(inputs, dtype, tree);
  EXPECT_EQ(found.result.scalar_type(), dtype);
  EXPECT_LT(Relative(found.result, expected.result), tolerance);
  EXPECT_LT(Relative(found.q, expected.q), tolerance);
  EXPECT_LT(Relative(found.k, expected.k), tolerance);
  EXPECT_LT(Relative(found.v, expected.v), tolerance);
}

Sequence Numbers(const Shared& layout) {
  Sequence numbers;
  for (const TreeSegment& s : TreeSegments(layout.lengths, layout.row_of)) {
    numbers.insert(numbers.end(), {s.begin, s.end, s.subtree_end});
  }
  return numbers;
}

TEST(TreeSegments, EndWhereSequencesPartAndKnowWhatFollows) {
  EXPECT_THAT(Numbers(Share({{1, 2, 3}})), ::testing::ElementsAre(0, 3, 3));
  // 1 2 | 3 4, 5 | 6, 7 and another tree.
  EXPECT_THAT(Numbers(Share({{1, 2, 3, 4}, {1, 2, 5, 6}, {1, 2, 5, 7}, {8}})),
              ::testing::ElementsAre(0, 2, 7, 2, 4, 4, 4, 5, 7, 5, 6, 6, 6, 7, 7, 7, 8, 8));
}

TEST(TreeSegments, OfASequenceThatIsTheBeginningOfAnotherAreOne) {
  EXPECT_THAT(Numbers(Share({{1, 2}, {1, 2, 3}, {1, 2, 3}})), ::testing::ElementsAre(0, 3, 3));
}

TEST(TreeSegments, RefusesRowsThatDontFollowTheirPrefixAtOnce) {
  EXPECT_THROW(TreeSegments({3, 2, 2}, {0, 1, 2, 3, 4, 0, 5}), std::logic_error);
  EXPECT_THROW(TreeSegments({2}, {1, 0}), std::logic_error);
}

TEST(TreeAttention, AndItsGradientsAreThoseOfDenseAttention) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    RandomStream random({.seed = seed});
    ExpectDenseAttention(Share(RandomSequences(random)), {.query = 4, .kv = 2, .dim = 8},
                         at::kDouble, 1e-13, random);
  }
}

TEST(TreeAttention, ServesGroupsOfAnySize) {
  RandomStream random({.seed = 7});
  const Shared layout = Share(RandomSequences(random));
  for (const auto& [query, kv] : {std::pair{1, 1}, {3, 1}, {6, 6}, {14, 2}}) {
    ExpectDenseAttention(layout, {.query = query, .kv = kv, .dim = 16}, at::kDouble, 1e-13, random);
  }
}

TEST(TreeAttention, AddsUpInFloat32WhereItComputesInLess) {
  RandomStream random({.seed = 8});
  const Shared layout = Share(RandomSequences(random));
  // By own kernels and, of heads that these don't serve, by LibTorch's.
  for (const int64_t dim : {16, 8}) {
    ExpectDenseAttention(layout, {.dim = dim}, at::kFloat, 1e-6, random);
    ExpectDenseAttention(layout, {.dim = dim}, at::kBFloat16, 0.02, random);
  }
}

}  // namespace
}  // namespace attnrl::attention
