// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/paged_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "common/attention/paged/kernel.h"
#include "common/attention/paged/testing/block_tree.h"
#include "common/attention/testing/reference.h"

namespace attnrl::attention {
namespace {

// The next rows of a sequence.
struct Piece {
  size_t sequence = 0;
  int64_t rows = 1;
};
using Schedule = std::vector<std::vector<Piece>>;

// Sequences with the inputs of all their tokens; a child has its parent's up to where it left it.
struct Forest {
  BlockTree tree;
  std::vector<Inputs> inputs;
  std::vector<int64_t> computed;  // tokens whose keys and values exist

  size_t Add(RandomStream& random, int64_t tokens, const Heads& heads) {
    inputs.push_back(RandomInputs(random, tokens, heads));
    computed.push_back(0);
    return tree.Add();
  }
  size_t Fork(RandomStream& random, size_t parent, int64_t position, int64_t tokens,
              const Heads& heads) {
    const Inputs more = RandomInputs(random, tokens, heads);
    const auto join = [&](const at::Tensor& a, const at::Tensor& b) {
      return at::cat({a.narrow(0, 0, position), b});
    };
    const Inputs& from = inputs[parent];
    inputs.push_back({join(from.q, more.q), join(from.k, more.k), join(from.v, more.v)});
    computed.push_back(position);
    return tree.Fork(parent, position);
  }
};

// A cache that holds NaN wherever nothing was written; an even number of blocks.
PagedKvCache EmptyCache(int64_t layers, int64_t blocks, const Heads& heads, at::ScalarType dtype) {
  PagedKvCache cache({layers, blocks, heads.kv, heads.dim}, dtype, at::kCPU);
  for (int64_t layer = 0; layer < layers; ++layer) {
    BlockTree tree;
    const size_t all = tree.Add();
    tree.Extend(all, blocks * kBlockTokens);
    AttentionPlan plan;
    plan.Build(std::vector<RowGroup>{tree.Rows(all, 0, blocks * kBlockTokens)});
    const at::Tensor nan =
        at::full({plan.rows(), heads.kv, heads.dim}, std::numeric_limits<float>::quiet_NaN());
    cache.Append(layer, plan, nan, nan);
  }
  return cache;
}

// Runs the passes; the new rows of each piece, put in the place of its tokens in the results.
void Run(Forest& forest, PagedKvCache& cache, const Schedule& schedule,
         std::vector<at::Tensor>* results,
         PagedAttention::Kernels kernels = PagedAttention::Kernels::kBest) {
  AttentionPlan plan;
  for (const std::vector<Piece>& pass : schedule) {
    std::vector<RowGroup> groups;
    std::vector<at::Tensor> q, k, v;
    for (const auto& [sequence, rows] : pass) forest.tree.Extend(sequence, rows);
    for (const auto& [sequence, rows] : pass) {
      const int64_t past = forest.computed[sequence];
      groups.push_back(forest.tree.Rows(sequence, past, rows));
      const Inputs& inputs = forest.inputs[sequence];
      q.push_back(inputs.q.narrow(0, past, rows));
      k.push_back(inputs.k.narrow(0, past, rows));
      v.push_back(inputs.v.narrow(0, past, rows));
    }
    plan.Build(groups);
    PagedAttention attention(cache, plan, kernels);
    const at::Tensor out = attention.Forward(0, at::cat(q), at::cat(k), at::cat(v));
    int64_t row = 0;
    for (const auto& [sequence, rows] : pass) {
      (*results)[sequence]
          .narrow(0, forest.computed[sequence], rows)
          .copy_(out.narrow(0, row, rows));
      forest.computed[sequence] += rows;
      row += rows;
    }
  }
}

// A prompt, two responses that leave it, and two continuations of the first of them.
struct Family {
  Forest forest;
  std::vector<int64_t> own;  // tokens of each sequence after where it left its parent
  Heads heads;

  explicit Family(const Heads& shape = {}) : heads(shape) {
    RandomStream random({.seed = 4});
    forest.Add(random, 75, heads);
    own = {75, 60, 33, 40, 40};
  }
  // Adds the children of what has been computed.
  void AddResponses() {
    RandomStream random({.seed = 5});
    forest.Fork(random, 0, 75, 60, heads);
    forest.Fork(random, 0, 70, 33, heads);
  }
  void AddContinuations() {
    RandomStream random({.seed = 6});
    forest.Fork(random, 1, 96, 40, heads);
    forest.Fork(random, 1, 101, 40, heads);
  }
  std::vector<at::Tensor> Empty() const {
    std::vector<at::Tensor> results;
    for (const int64_t tokens : {75, 135, 103, 136, 141}) {
      results.push_back(at::zeros({tokens, heads.query, heads.dim}));
    }
    return results;
  }
};

struct Options {
  bool whole = false;  // each sequence in one pass of its own
  at::ScalarType dtype = at::kFloat;
  PagedAttention::Kernels kernels = PagedAttention::Kernels::kBest;
};

std::vector<at::Tensor> RunFamily(const Heads& heads, const Options& options,
                                  std::vector<Inputs>* inputs = nullptr) {
  Family family(heads);
  PagedKvCache cache = EmptyCache(1, 24, heads, options.dtype);
  std::vector<at::Tensor> results = family.Empty();
  const auto run = [&](const Schedule& schedule) {
    Run(family.forest, cache, schedule, &results, options.kernels);
  };
  if (options.whole) {
    run({{{0, 75}}});
    family.AddResponses();
    run({{{1, 60}}, {{2, 33}}});
    family.AddContinuations();
    run({{{3, 40}}, {{4, 40}}});
  } else {
    run({{{0, 13}}, {{0, 1}}, {{0, 61}}});
    family.AddResponses();
    Schedule steps;
    for (int i = 0; i < 33; ++i) steps.push_back({{1, 1}, {2, 1}});
    for (int i = 0; i < 27; ++i) steps.push_back({{1, 1}});
    run(steps);
    family.AddContinuations();
    run({{{3, 2}, {4, 3}}});
    steps.clear();
    for (int i = 0; i < 37; ++i) steps.push_back({{3, 1}, {4, 1}});
    steps.push_back({{3, 1}});
    run(steps);
  }
  if (inputs != nullptr) *inputs = family.forest.inputs;
  return results;
}

// The rows of each sequence that it computed itself.
double WorstOfFamily(const std::vector<at::Tensor>& results, const std::vector<Inputs>& inputs) {
  const int64_t first[] = {0, 75, 70, 96, 101};
  double worst = 0;
  for (size_t s = 0; s < results.size(); ++s) {
    const int64_t tokens = inputs[s].q.size(0);
    const at::Tensor expected = AttendByFormula(inputs[s], CausalRows({tokens}));
    const int64_t rows = tokens - first[s];
    worst = std::max(
        worst, Worst(results[s].narrow(0, first[s], rows), expected.narrow(0, first[s], rows)));
  }
  return worst;
}

class PagedAttentionOf : public testing::TestWithParam<Heads> {};

TEST_P(PagedAttentionOf, EqualsTheFormulaInAFamilyOfSequences) {
  for (const bool whole : {false, true}) {
    std::vector<Inputs> inputs;
    const auto results = RunFamily(GetParam(), {.whole = whole}, &inputs);
    EXPECT_LT(WorstOfFamily(results, inputs), 3e-6) << whole;
  }
}

TEST_P(PagedAttentionOf, ThroughAtenEqualsTheFormulaToo) {
  std::vector<Inputs> inputs;
  const auto results = RunFamily(GetParam(), {.kernels = PagedAttention::Kernels::kAten}, &inputs);
  EXPECT_LT(WorstOfFamily(results, inputs), 3e-6);
}

TEST_P(PagedAttentionOf, GivesARowTheSameBitsTokenByTokenAndWhole) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto whole = RunFamily(GetParam(), {.whole = true, .dtype = dtype});
    const auto steps = RunFamily(GetParam(), {.dtype = dtype});
    for (size_t s = 0; s < whole.size(); ++s) EXPECT_TRUE(at::equal(whole[s], steps[s])) << s;
  }
}

TEST_P(PagedAttentionOf, GivesTheSameBitsOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = RunFamily(GetParam(), {});
  at::set_num_threads(3);
  const auto three = RunFamily(GetParam(), {});
  at::set_num_threads(before);
  for (size_t s = 0; s < one.size(); ++s) EXPECT_TRUE(at::equal(one[s], three[s])) << s;
}

INSTANTIATE_TEST_SUITE_P(Shapes, PagedAttentionOf,
                         testing::Values(Heads{.query = 4, .kv = 2, .dim = 16},
                                         Heads{.query = 9, .kv = 3, .dim = 64},
                                         Heads{.query = 7, .kv = 1, .dim = 32},
                                         Heads{.query = 3, .kv = 3, .dim = 20},
                                         Heads{.query = 12, .kv = 2, .dim = 128}),
                         [](const auto& test) {
                           return "Query" + std::to_string(test.param.query) + "Key" +
                                  std::to_string(test.param.kv) + "Dim" +
                                  std::to_string(test.param.dim);
                         });

TEST(PagedAttention, ReadsABfloat16CacheAsItWasStored) {
  std::vector<Inputs> inputs;
  const auto results = RunFamily({}, {.dtype = at::kBFloat16}, &inputs);
  for (Inputs& input : inputs) {
    input.k = input.k.to(at::kBFloat16);
    input.v = input.v.to(at::kBFloat16);
  }
  EXPECT_LT(WorstOfFamily(results, inputs), 3e-6);
}

TEST(PagedKernels, GiveTheSameBitsWithEveryInstructionSet) {
  const Heads heads{.query = 6, .kv = 2, .dim = 24};
  RandomStream random({.seed = 3});
  Forest forest;
  forest.Add(random, 77, heads);
  forest.tree.Extend(0, 77);
  PagedKvCache cache = EmptyCache(1, 4, heads, at::kFloat);
  AttentionPlan plan;
  plan.Build(std::vector<RowGroup>{forest.tree.Rows(0, 0, 77)});
  const Inputs& inputs = forest.inputs[0];
  cache.Append(0, plan, inputs.k, inputs.v);
  std::vector<at::Tensor> results;
  for (const PagedKernel* kernel : AllPagedKernels()) {
    at::Tensor out = at::empty_like(inputs.q);
    at::Tensor largest = at::empty({77, heads.query});
    at::Tensor sum = at::empty({77, heads.query});
    PagedArguments arguments{.tasks = plan.tasks().data(),
                             .pieces = plan.pieces().data(),
                             .visible = plan.visible().data(),
                             .float32 = cache.Blocks<float>(0),
                             .q = inputs.q.const_data_ptr<float>(),
                             .heads = heads.query,
                             .kv_heads = heads.kv,
                             .head_dim = heads.dim,
                             .scale = 0.2F,
                             .rows = 77,
                             .out = out.mutable_data_ptr<float>(),
                             .largest = largest.mutable_data_ptr<float>(),
                             .sum = sum.mutable_data_ptr<float>()};
    for (const TaskChain& chain : plan.chains()) {
      for (int64_t head = 0; head < heads.kv; ++head) {
        kernel->attend(arguments, chain, head, 0);
        kernel->finish(arguments, chain, head);
      }
    }
    results.push_back(out);
    EXPECT_TRUE(at::equal(out, results.front())) << kernel->isa;
  }
}

// Two segments and a half, then siblings of it that are decoded.
std::vector<at::Tensor> RunLong(int threads, bool alone, std::vector<Inputs>* inputs = nullptr) {
  const int before = at::get_num_threads();
  at::set_num_threads(threads);
  const Heads heads{.query = 3, .kv = 1, .dim = 20};
  constexpr int64_t kTokens = 2 * kSegmentTokens + 500;
  RandomStream random({.seed = 9});
  Forest forest;
  forest.Add(random, kTokens, heads);
  PagedKvCache cache = EmptyCache(1, kTokens / kBlockTokens + 7, heads, at::kFloat);
  std::vector<at::Tensor> results(3, at::zeros({kTokens + 40, heads.query, heads.dim}));
  for (at::Tensor& result : results) result = result.clone();
  Run(forest, cache, {{{0, kTokens - 2}}, {{0, 1}}, {{0, 1}}}, &results);
  forest.Fork(random, 0, kTokens, 40, heads);
  forest.Fork(random, 0, kSegmentTokens - 3, 5, heads);  // crosses the end of a segment
  for (int i = 0; i < 5; ++i) {
    if (alone) {
      Run(forest, cache, {{{1, 1}}, {{2, 1}}}, &results);
    } else {
      Run(forest, cache, {{{1, 1}, {2, 1}}}, &results);
    }
  }
  at::set_num_threads(before);
  if (inputs != nullptr) *inputs = forest.inputs;
  return results;
}

TEST(PagedAttention, OfSeveralSegmentsEqualsTheFormula) {
  std::vector<Inputs> inputs;
  const auto results = RunLong(4, false, &inputs);
  const int64_t first[] = {0, inputs[0].q.size(0), kSegmentTokens - 3};
  const int64_t rows[] = {inputs[0].q.size(0), 5, 5};
  for (size_t s = 0; s < 3; ++s) {
    const at::Tensor expected = AttendByFormula(inputs[s], CausalRows({inputs[s].q.size(0)}));
    EXPECT_LT(Worst(results[s].narrow(0, first[s], rows[s]), expected.narrow(0, first[s], rows[s])),
              3e-6)
        << s;
  }
}

TEST(PagedAttention, OfSeveralSegmentsHasTheSameBitsOnAnyThreadsAndInAnyCompany) {
  const auto one = RunLong(1, false);
  for (const bool alone : {false, true}) {
    const auto many = RunLong(7, alone);
    for (size_t s = 0; s < one.size(); ++s) EXPECT_TRUE(at::equal(one[s], many[s])) << s << alone;
  }
}

// Values that say which step a key is of: what a row attends to is what its steps add up to.
TEST(PagedAttention, ScoresStepsAcrossSegmentsOnAnyThreads) {
  const int before = at::get_num_threads();
  const Heads heads{.query = 2, .kv = 1, .dim = 8};
  constexpr int64_t kTokens = 2 * kSegmentTokens + 100;
  const std::vector<int32_t> ends = {700, kSegmentTokens + 1, kTokens};
  RandomStream random({.seed = 10});
  Inputs inputs = RandomInputs(random, kTokens, heads);
  inputs.v.zero_();
  int64_t begin = 0;
  for (int64_t s = 0; s < 3; ++s) {
    inputs.v.narrow(0, begin, ends[s] - begin).select(2, s).fill_(1);
    begin = ends[s];
  }
  for (const int threads : {1, 7}) {
    at::set_num_threads(threads);
    BlockTree tree;
    const size_t sequence = tree.Add();
    tree.Extend(sequence, kTokens);
    PagedKvCache cache = EmptyCache(1, kTokens / kBlockTokens + 1, heads, at::kFloat);
    AttentionPlan plan;
    plan.Build(std::vector<RowGroup>{tree.Rows(sequence, 0, kTokens - 1)});
    const auto rows = [&](const at::Tensor& x) { return x.narrow(0, 0, kTokens - 1); };
    cache.Append(0, plan, rows(inputs.k), rows(inputs.v));
    plan.Build(std::vector<RowGroup>{tree.Rows(sequence, kTokens - 1, 1)});
    std::vector<float> sums(6, 0);
    std::vector<float> scratch(18, -1);
    const std::vector<ScoredRow> scored = {{.row = 0,
                                            .steps = 3,
                                            .ends = ends.data(),
                                            .sums = sums.data(),
                                            .scratch = scratch.data(),
                                            .stride = 3}};
    PagedAttention attention(cache, plan, PagedAttention::Kernels::kBest, scored);
    const auto last = [&](const at::Tensor& x) { return x.narrow(0, kTokens - 1, 1); };
    const at::Tensor out = attention.Forward(0, last(inputs.q), last(inputs.k), last(inputs.v));
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t s = 0; s < 3; ++s) {
        EXPECT_NEAR(sums[head * 3 + s], out[0][head][s].item<float>(), 2e-6) << head << s;
      }
    }
  }
  at::set_num_threads(before);
}

TEST(PagedKvCache, CountsItsBytes) {
  EXPECT_EQ(
      PagedKvCache::Bytes({.layers = 3, .blocks = 5, .kv_heads = 2, .head_dim = 8}, at::kBFloat16),
      2 * 3 * 5 * 2 * 8 * kBlockTokens * 2);
}

}  // namespace
}  // namespace attnrl::attention
