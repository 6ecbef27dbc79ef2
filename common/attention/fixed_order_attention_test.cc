// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <vector>

#include "common/attention/testing/reference.h"
#include "common/attention/testing/schedule.h"

namespace attnrl::attention {
namespace {

constexpr int64_t kSlots = 12;
constexpr int64_t kMaxTokens = 80;
// Rows on both sides of the kernel's registers of 16 keys and its blocks of 64.
const std::vector<int64_t> kLengths = {17, 70, 1, 33, 16};

KvCache EmptyCache(const Heads& heads, at::ScalarType dtype = at::kFloat) {
  return KvCache({2, kSlots, kMaxTokens, heads.kv, heads.dim}, dtype, at::kCPU);
}

std::vector<at::Tensor> RunPasses(KvCache& cache, const std::vector<Inputs>& sequences,
                                  const std::vector<int64_t>& slots, const Schedule& schedule) {
  return RunSchedule(cache, sequences, slots, schedule,
                     [](KvCache& of, const std::vector<SequenceRows>& rows) {
                       return FixedOrderAttention(of, rows);
                     });
}

// One sequence on one thread in a cache of its own, row by row.
at::Tensor RunAlone(const Inputs& inputs, const Heads& heads, at::ScalarType dtype = at::kFloat) {
  KvCache cache = EmptyCache(heads, dtype);
  const Schedule row_by_row(static_cast<size_t>(inputs.q.size(0)), {{0, 1}});
  return RunPasses(cache, {inputs}, {0}, row_by_row)[0];
}

class FixedOrder : public testing::Test {
 protected:
  void TearDown() override { at::set_num_threads(threads_); }

 private:
  const int threads_ = at::get_num_threads();
};

const std::vector<Heads> kShapes = {{1, 1, 8}, {4, 2, 16}, {6, 2, 20}, {5, 1, 64}};

TEST_F(FixedOrder, IsTheFormula) {
  RandomStream random({.seed = 1});
  for (const Heads& heads : kShapes) {
    const std::vector<Inputs> sequences = RandomSequences(random, kLengths, heads);
    KvCache cache = EmptyCache(heads);
    const auto results =
        RunPasses(cache, sequences, {4, 0, 11, 7, 5}, RandomSchedule(random, kLengths));
    for (size_t s = 0; s < sequences.size(); ++s) {
      EXPECT_LT(Worst(results[s], ScheduleByFormula(sequences[s])), 3e-6) << heads.dim << " " << s;
    }
  }
}

TEST_F(FixedOrder, GivesARowTheSameBitsInAnyCompanyOrderCutSlotAndNumberOfThreads) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    RandomStream random({.seed = 2});
    for (const Heads& heads : kShapes) {
      const std::vector<Inputs> sequences = RandomSequences(random, kLengths, heads);
      std::vector<at::Tensor> alone;
      at::set_num_threads(1);
      for (const Inputs& inputs : sequences) alone.push_back(RunAlone(inputs, heads, dtype));
      for (const int threads : {1, 2, 3}) {
        at::set_num_threads(threads);
        const std::vector<int64_t> slots = RandomSlots(random, kLengths.size(), kSlots);
        KvCache cache = EmptyCache(heads, dtype);
        const auto mixed = RunPasses(cache, sequences, slots, RandomSchedule(random, kLengths));
        for (size_t s = 0; s < sequences.size(); ++s) {
          EXPECT_TRUE(at::equal(mixed[s], alone[s])) << heads.dim << " " << threads << " " << s;
        }
      }
    }
  }
}

TEST_F(FixedOrder, GivesAPrefillOfEverySequenceTheBitsOfDecoding) {
  RandomStream random({.seed = 3});
  const std::vector<Inputs> sequences = RandomSequences(random, kLengths);
  std::vector<Piece> whole;
  for (size_t s = 0; s < kLengths.size(); ++s) whole.push_back({s, kLengths[s]});
  KvCache cache = EmptyCache({});
  const auto results = RunPasses(cache, sequences, {0, 1, 2, 3, 4}, {whole});
  for (size_t s = 0; s < sequences.size(); ++s) {
    EXPECT_TRUE(at::equal(results[s], RunAlone(sequences[s], {}))) << s;
  }
}

TEST_F(FixedOrder, ContinuesACopiedPromptWithTheSameBits) {
  RandomStream random({.seed = 4});
  const Inputs inputs = RandomInputs(random, 40);
  KvCache cache = EmptyCache({});
  RunPasses(cache, {inputs}, {3}, {{{0, 38}}});
  cache.CopyPrefix(3, 9, 38);
  const auto tail = [](const at::Tensor& x) { return x.narrow(0, 38, 2); };
  FixedOrderAttention attention(cache, {{.slot = 9, .past = 38, .rows = 2}});
  const at::Tensor rows = attention.Forward(0, tail(inputs.q), tail(inputs.k), tail(inputs.v));
  EXPECT_TRUE(at::equal(rows, tail(RunAlone(inputs, {}).select(1, 0))));
}

TEST_F(FixedOrder, ReadsFromABfloat16CacheWhatWasStored) {
  RandomStream random({.seed = 5});
  const Inputs inputs = RandomInputs(random, 37);
  const auto round = [](const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kFloat); };
  const Inputs rounded = {inputs.q, round(inputs.k), round(inputs.v)};
  EXPECT_TRUE(at::equal(RunAlone(inputs, {}, at::kBFloat16), RunAlone(rounded, {})));
  EXPECT_FALSE(at::equal(RunAlone(inputs, {}), RunAlone(rounded, {})));
}

TEST_F(FixedOrder, TakesNoGradients) {
  KvCache cache = EmptyCache({});
  const at::Tensor q = at::ones({2, 4, 16}).set_requires_grad(true);
  const at::Tensor k = at::ones({2, 2, 16}).set_requires_grad(true);
  FixedOrderAttention attention(cache, {{.slot = 0, .past = 0, .rows = 2}});
  EXPECT_FALSE(attention.Forward(0, q, k, k).requires_grad());
  EXPECT_FALSE(cache.values(0).requires_grad());
}

}  // namespace
}  // namespace attnrl::attention
