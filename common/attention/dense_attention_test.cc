// SPDX-License-Identifier: Apache-2.0
#include "common/attention/dense_attention.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/attention/grouped_heads.h"
#include "common/attention/testing/one_thread.h"
#include "common/attention/testing/reference.h"

namespace attnrl::attention {
namespace {

using Sequence = std::vector<int64_t>;

// Sequences as lists of rows, where some begin alike.
struct Layout {
  std::vector<Sequence> sequences;
  int64_t rows = 0;

  Sequence Lengths() const {
    Sequence lengths;
    for (const Sequence& rows_of : sequences) {
      lengths.push_back(static_cast<int64_t>(rows_of.size()));
    }
    return lengths;
  }
  Sequence RowOf() const {
    Sequence all;
    for (const Sequence& rows_of : sequences) all.insert(all.end(), rows_of.begin(), rows_of.end());
    return all;
  }
  // A row sees itself and what lies before it in any sequence that has it.
  std::vector<Sequence> Seen() const {
    std::vector<Sequence> seen(static_cast<size_t>(rows));
    for (const Sequence& rows_of : sequences) {
      for (size_t i = 0; i < rows_of.size(); ++i) {
        seen[static_cast<size_t>(rows_of[i])] = {rows_of.begin(),
                                                 rows_of.begin() + static_cast<ptrdiff_t>(i) + 1};
      }
    }
    return seen;
  }
};

Layout Unshared(const Sequence& lengths) {
  Layout layout;
  for (const int64_t length : lengths) {
    Sequence& rows = layout.sequences.emplace_back();
    while (static_cast<int64_t>(rows.size()) < length) rows.push_back(layout.rows++);
  }
  return layout;
}

// Each sequence begins with some rows of an earlier one, none or all of them. The rows are numbered
// in no order.
Layout RandomTree(RandomStream& random) {
  Layout layout;
  const size_t count = 2 + random.Below(9);
  while (layout.sequences.size() < count) {
    Sequence sequence;
    if (!layout.sequences.empty() && random.Below(4) > 0) {
      const Sequence& parent = layout.sequences[random.Below(layout.sequences.size())];
      sequence.assign(parent.begin(),
                      parent.begin() + static_cast<ptrdiff_t>(random.Below(parent.size() + 1)));
    }
    for (uint64_t fresh = random.Below(14); fresh > 0 || sequence.empty(); fresh -= fresh > 0) {
      sequence.push_back(layout.rows++);
    }
    layout.sequences.push_back(sequence);
  }
  Sequence number(static_cast<size_t>(layout.rows));
  std::iota(number.begin(), number.end(), int64_t{0});
  for (size_t i = number.size(); i > 1; --i) std::swap(number[i - 1], number[random.Below(i)]);
  for (Sequence& sequence : layout.sequences) {
    for (int64_t& row : sequence) row = number[static_cast<size_t>(row)];
  }
  return layout;
}

struct Gradients {
  at::Tensor result, q, k, v;
};

// `attend` forward and backward; every element of the result has a weight of its own in the loss.
template <typename Attend>
Gradients RunBackward(const Inputs& inputs, const Attend& attend) {
  const auto leaf = [](const at::Tensor& x) {
    return x.to(at::kDouble).clone().set_requires_grad(true);
  };
  const Inputs leaves = {leaf(inputs.q), leaf(inputs.k), leaf(inputs.v)};
  const at::Tensor result = attend(leaves);
  const at::Tensor weights = at::cos(at::arange(result.numel()).to(at::kDouble));
  (result.flatten() * weights).sum().backward();
  return {result.detach(), leaves.q.grad(), leaves.k.grad(), leaves.v.grad()};
}

// In float64, where only a mistake is larger than the tolerance.
void ExpectTheFormula(const Layout& layout, const Heads& heads, RandomStream& random) {
  const Inputs inputs = RandomInputs(random, layout.rows, heads);
  const Gradients expected = RunBackward(
      inputs, [&](const Inputs& leaves) { return AttendByFormula(leaves, layout.Seen()); });
  DenseAttention attention(layout.Lengths(), layout.RowOf());
  const Gradients found = RunBackward(inputs, [&](const Inputs& leaves) {
    return attention.Forward(0, leaves.q, leaves.k, leaves.v);
  });
  EXPECT_LT(Worst(found.result, expected.result), 1e-12);
  EXPECT_LT(Worst(found.q, expected.q), 1e-12);
  EXPECT_LT(Worst(found.k, expected.k), 1e-12);
  EXPECT_LT(Worst(found.v, expected.v), 1e-12);
}

TEST(RepeatHeads, RepeatsEachHeadInPlace) {
  const at::Tensor x = at::arange(2 * 3 * 2 * 2).view({2, 3, 2, 2});
  EXPECT_TRUE(at::equal(RepeatHeads(x, 1), x));
  const at::Tensor repeated = RepeatHeads(x, 2);
  ASSERT_EQ(repeated.sizes(), (std::vector<int64_t>{2, 6, 2, 2}));
  for (int64_t head = 0; head < 6; ++head) {
    EXPECT_TRUE(at::equal(repeated.select(1, head), x.select(1, head / 2))) << head;
  }
}

TEST(DenseAttention, AndItsGradientsAreThoseOfTheFormulaForSequencesOfAnyLengths) {
  RandomStream random({.seed = 1});
  for (const Sequence& lengths : std::vector<Sequence>{{1},
                                                       {33},
                                                       {1, 1, 1},
                                                       {5, 5, 5},
                                                       {7, 40, 39, 2, 31, 8},
                                                       {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}) {
    SCOPED_TRACE(testing::PrintToString(lengths));
    ExpectTheFormula(Unshared(lengths), {}, random);
  }
}

TEST(DenseAttention, AndItsGradientsAreThoseOfTheFormulaWhateverTheHeads) {
  RandomStream random({.seed = 2});
  const Layout shared = {.sequences = {{0, 1, 2, 3}, {0, 1, 4}, {5, 6}}, .rows = 7};
  for (const Heads& heads : std::vector<Heads>{{1, 1, 8}, {4, 4, 6}, {6, 3, 20}, {7, 1, 64}}) {
    SCOPED_TRACE(heads.query);
    ExpectTheFormula(Unshared({9, 3, 4}), heads, random);
    ExpectTheFormula(shared, heads, random);
  }
}

TEST(DenseAttention, AndItsGradientsAreThoseOfTheFormulaWhateverIsShared) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream random({.seed = seed});
    ExpectTheFormula(RandomTree(random), {.query = 2, .kv = 1, .dim = 4}, random);
  }
}

TEST(DenseAttention, AsksForASequenceThatBeginsAnotherOrRepeatsItOnce) {
  RandomStream random({.seed = 3});
  const std::vector<Layout> layouts = {
      {.sequences = {{0, 1, 2, 3, 4}, {0, 1}}, .rows = 5},
      {.sequences = {{0, 1}, {0, 1, 2, 3, 4}}, .rows = 5},
      {.sequences = {{0, 1, 2}, {0, 1, 2}, {0, 1, 2}}, .rows = 3},
      {.sequences = {{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}}, .rows = 4},
      {.sequences = {{0, 1, 2}, {0, 3, 4}, {0, 1, 5}, {0, 3, 6}, {0, 3}}, .rows = 7},
  };
  for (const Layout& layout : layouts) ExpectTheFormula(layout, {}, random);
}

// What a prefix gets from two continuations when it is stored once is the sum of what its copies
// get when each continuation has its own.
TEST(DenseAttention, GivesASharedRowTheSumOfTheGradientsOfItsCopies) {
  RandomStream random({.seed = 4});
  const Layout tree = {.sequences = {{0, 1, 2, 3}, {0, 1, 4, 5}}, .rows = 6};
  const Sequence copies = {0, 1, 2, 3, 0, 1, 4, 5};
  const Inputs inputs = RandomInputs(random, tree.rows);
  DenseAttention shared(tree.Lengths(), tree.RowOf());
  const Gradients once = RunBackward(inputs, [&](const Inputs& leaves) {
    return shared.Forward(0, leaves.q, leaves.k, leaves.v);
  });
  DenseAttention apart({4, 4});
  const Gradients twice = RunBackward(inputs.Rows(copies), [&](const Inputs& leaves) {
    const at::Tensor result = apart.Forward(0, leaves.q, leaves.k, leaves.v);
    return result.index_select(0, at::tensor(Sequence{0, 1, 2, 3, 6, 7}));
  });
  const auto sum = [&](const at::Tensor& gradient) {
    return at::zeros_like(once.k).index_add(0, at::tensor(copies), gradient);
  };
  EXPECT_LT(Worst(once.result, twice.result), 1e-12);
  EXPECT_LT(Worst(once.k, sum(twice.k)), 1e-12);
  EXPECT_LT(Worst(once.v, sum(twice.v)), 1e-12);
}

TEST(DenseAttention, ShowsARowNothingOfWhatComesAfterItOrLiesInAnotherSequence) {
  RandomStream random({.seed = 5});
  const Layout layout = {.sequences = {{0, 1, 2, 3}, {0, 1, 4, 5}, {6, 7, 8}}, .rows = 9};
  Inputs inputs = RandomInputs(random, layout.rows);
  DenseAttention attention(layout.Lengths(), layout.RowOf());
  const at::Tensor before = attention.Forward(0, inputs.q, inputs.k, inputs.v);
  inputs.k[4].mul_(-3);
  inputs.v[4].add_(100);
  const at::Tensor after = attention.Forward(0, inputs.q, inputs.k, inputs.v);
  for (int64_t row = 0; row < layout.rows; ++row) {
    const double change = Worst(before[row], after[row]);
    if (row == 4 || row == 5) {
      EXPECT_GT(change, 0.01) << row;
    } else {
      EXPECT_LT(change, 1e-6) << row;
    }
  }
}

TEST(DenseAttention, ServesPassesOfAnyType) {
  RandomStream random({.seed = 6});
  const Layout layout = {.sequences = {{0, 1, 2, 3}, {0, 1, 4}, {0, 5, 6, 7, 8}}, .rows = 9};
  const Inputs inputs = RandomInputs(random, layout.rows);
  const at::Tensor expected = AttendByFormula(inputs, layout.Seen());
  DenseAttention attention(layout.Lengths(), layout.RowOf());
  for (const auto& [dtype, tolerance] : std::vector<std::pair<at::ScalarType, double>>{
           {at::kFloat, 1e-6}, {at::kBFloat16, 0.03}, {at::kDouble, 1e-12}, {at::kFloat, 1e-6}}) {
    const Inputs of = inputs.To(dtype);
    const at::Tensor result = attention.Forward(1, of.q, of.k, of.v);
    EXPECT_EQ(result.scalar_type(), dtype);
    EXPECT_LT(Worst(result, expected), tolerance) << dtype;
  }
}

TEST(DenseMemory, AddsUpMasksIndicesAndWhatIsShownToEachSequence) {
  // A stem of 5 rows with a tail of 3 asks causally; a branch of 2 rows over 5 + 2 keys.
  const std::vector<DenseSequence> sequences = {{.length = 8}, {.length = 7, .shared = 5}};
  const DenseMemory memory =
      DenseMemoryOf(sequences, {.query = 6, .kv = 2, .dim = 4, .element = 2});
  const int64_t rows = 8 + 2, keys = 8 + 7;
  EXPECT_EQ(memory.layout, 2 * 8 * (rows + keys) + 2 * 2 * 8) << "mask rows of 7 keys are aligned";
  EXPECT_EQ(memory.call, 2 * 2 * 4 * 6 * (rows + keys) + 4 * 6 * rows);
  EXPECT_EQ(memory.Total(3), memory.layout + 4 * memory.call);
}

TEST(DenseMemory, IsThatOfTheSequencesInWhichRowsAsk) {
  // The third repeats the first, and no row asks there.
  const std::vector<DenseSequence> found =
      DenseSequences({3, 4, 3}, {0, 1, 2, 0, 1, 3, 4, 0, 1, 2});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].queries(), 3);
  EXPECT_EQ(found[1].length, 4);
  EXPECT_EQ(found[1].shared, 2);
  EXPECT_EQ(found[1].first, 3);
}

}  // namespace
}  // namespace attnrl::attention
