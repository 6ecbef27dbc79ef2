// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cached_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/attention/testing/reference.h"
#include "common/attention/testing/schedule.h"

namespace attnrl::attention {
namespace {

using Kernels = CachedAttention::Kernels;

constexpr int64_t kSlots = 24;
constexpr int64_t kMaxTokens = 96;

KvCache EmptyCache(const Heads& heads = {}, at::ScalarType dtype = at::kFloat) {
  return KvCache({2, kSlots, kMaxTokens, heads.kv, heads.dim}, dtype, at::kCPU);
}

class CachedAttentions : public testing::TestWithParam<Kernels> {
 protected:
  static std::vector<at::Tensor> RunPasses(KvCache& cache, const std::vector<Inputs>& sequences,
                                           const std::vector<int64_t>& slots,
                                           const Schedule& schedule) {
    return RunSchedule(cache, sequences, slots, schedule,
                       [](KvCache& of, const std::vector<SequenceRows>& rows) {
                         return CachedAttention(of, rows, GetParam());
                       });
  }
  static void ExpectTheFormula(const std::vector<at::Tensor>& results,
                               const std::vector<Inputs>& sequences, double tolerance = 3e-6) {
    for (size_t s = 0; s < sequences.size(); ++s) {
      EXPECT_LT(Worst(results[s], ScheduleByFormula(sequences[s])), tolerance) << "sequence " << s;
    }
  }
};

struct Slots {
  std::string name;
  std::vector<int64_t> slots;
};

const std::vector<Slots> kArrangements = {
    {"the first ones in order", {0, 1, 2, 3}},
    {"in order from another", {5, 6, 7, 8}},
    {"together, the other way round", {3, 2, 1, 0}},
    {"together in no order", {20, 23, 21, 22}},
    {"with gaps", {0, 2, 4, 7}},
    {"with gaps in no order", {9, 14, 8, 11}},
    {"far apart", {0, 7, 15, 23}},
    {"far apart in no order", {17, 2, 23, 9}},
};

// The first of several sequences prefill their prompts one after the other, then all decode.
Schedule PromptsThenDecoding(const std::vector<int64_t>& prompts, int64_t decoded) {
  Schedule schedule;
  for (size_t s = 0; s < prompts.size(); ++s) schedule.push_back({{s, prompts[s]}});
  std::vector<Piece> all;
  for (size_t s = 0; s < prompts.size(); ++s) all.push_back({s, 1});
  schedule.insert(schedule.end(), static_cast<size_t>(decoded), all);
  return schedule;
}

TEST_P(CachedAttentions, DecodeTheFormulaInEveryArrangementOfSlots) {
  RandomStream random({.seed = 1});
  for (const auto& [name, slots] : kArrangements) {
    for (const std::vector<int64_t>& prompts :
         std::vector<std::vector<int64_t>>{{6, 6, 6, 6}, {3, 30, 2, 17}}) {
      SCOPED_TRACE(name + " " + testing::PrintToString(prompts));
      std::vector<int64_t> lengths;
      for (const int64_t prompt : prompts) lengths.push_back(prompt + 3);
      const std::vector<Inputs> sequences = RandomSequences(random, lengths);
      KvCache cache = EmptyCache();
      ExpectTheFormula(RunPasses(cache, sequences, slots, PromptsThenDecoding(prompts, 3)),
                       sequences);
    }
  }
}

TEST_P(CachedAttentions, AreTheFormulaInAnyScheduleWhateverTheHeads) {
  const std::vector<Heads> shapes = {{1, 1, 8}, {4, 2, 16}, {6, 2, 20}, {5, 1, 32}, {3, 3, 64}};
  for (uint64_t seed = 0; seed < 25; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream random({.seed = seed});
    std::vector<int64_t> lengths;
    for (uint64_t count = 1 + random.Below(5); count > 0; --count) {
      lengths.push_back(static_cast<int64_t>(1 + random.Below(35)));
    }
    const Heads& heads = shapes[seed % shapes.size()];
    const std::vector<Inputs> sequences = RandomSequences(random, lengths, heads);
    const std::vector<int64_t> slots = RandomSlots(random, lengths.size(), kSlots);
    KvCache cache = EmptyCache(heads);
    ExpectTheFormula(RunPasses(cache, sequences, slots, RandomSchedule(random, lengths)),
                     sequences);
  }
}

TEST_P(CachedAttentions, PrefillAPromptWholeOrInPieces) {
  RandomStream random({.seed = 2});
  const std::vector<Inputs> sequences = RandomSequences(random, {kMaxTokens});
  for (const std::vector<int64_t>& pieces : std::vector<std::vector<int64_t>>{
           {kMaxTokens}, {1, kMaxTokens - 1}, {kMaxTokens - 1, 1}, {40, 2, 1, 53}}) {
    SCOPED_TRACE(testing::PrintToString(pieces));
    Schedule schedule;
    for (const int64_t rows : pieces) schedule.push_back({{0, rows}});
    KvCache cache = EmptyCache();
    ExpectTheFormula(RunPasses(cache, sequences, {kSlots - 1}, schedule), sequences);
  }
}

TEST_P(CachedAttentions, PassOverWhatAnEarlierOwnerLeftInASlot) {
  RandomStream random({.seed = 3});
  KvCache cache = EmptyCache();
  for (int64_t layer = 0; layer < 2; ++layer) {
    cache.keys(layer).fill_(20);
    cache.values(layer).fill_(-1000);
  }
  const std::vector<Inputs> sequences = RandomSequences(random, {9, 4, 14});
  ExpectTheFormula(RunPasses(cache, sequences, {2, 5, 4}, PromptsThenDecoding({7, 2, 12}, 2)),
                   sequences);
}

TEST_P(CachedAttentions, ContinueACopiedPrompt) {
  RandomStream random({.seed = 4});
  const std::vector<Inputs> sequences = RandomSequences(random, {12});
  KvCache cache = EmptyCache();
  RunPasses(cache, sequences, {3}, {{{0, 10}}});
  cache.CopyPrefix(3, 8, 10);
  const auto tail = [](const at::Tensor& x) { return x.narrow(0, 10, 2); };
  const Inputs& inputs = sequences[0];
  CachedAttention attention(cache, {{.slot = 8, .past = 10, .rows = 2}}, GetParam());
  const at::Tensor rows = attention.Forward(0, tail(inputs.q), tail(inputs.k), tail(inputs.v));
  EXPECT_LT(Worst(rows, tail(ScheduleByFormula(inputs).select(1, 0))), 3e-6);
}

TEST_P(CachedAttentions, StoreTheKeysAndValuesOfThePass) {
  RandomStream random({.seed = 5});
  const std::vector<Inputs> sequences = RandomSequences(random, {6, 8});
  KvCache cache = EmptyCache();
  RunPasses(cache, sequences, {4, 1}, {{{0, 5}, {1, 1}}, {{1, 7}, {0, 1}}});
  EXPECT_TRUE(at::equal(cache.keys(0)[4].narrow(0, 0, 6), sequences[0].k));
  EXPECT_TRUE(at::equal(cache.values(0)[1].narrow(0, 0, 8), sequences[1].v));
  EXPECT_EQ(cache.keys(0)[1].narrow(0, 8, kMaxTokens - 8).abs().max().item<float>(), 0);
  EXPECT_EQ(cache.values(0).narrow(0, 5, kSlots - 5).abs().max().item<float>(), 0);
}

TEST_P(CachedAttentions, KeepTheTypeOfTheQueriesWhateverTheCacheHolds) {
  struct Case {
    at::ScalarType inputs;
    at::ScalarType cache;
    double tolerance;
  };
  RandomStream random({.seed = 6});
  const std::vector<Inputs> sequences = RandomSequences(random, {9, 21, 9});
  for (const auto& [inputs, cached, tolerance] :
       std::vector<Case>{{at::kFloat, at::kBFloat16, 0.03},
                         {at::kBFloat16, at::kBFloat16, 0.05},
                         {at::kBFloat16, at::kFloat, 0.05},
                         {at::kDouble, at::kDouble, 1e-12}}) {
    SCOPED_TRACE(testing::Message() << inputs << " over " << cached);
    std::vector<Inputs> of;
    for (const Inputs& sequence : sequences) of.push_back(sequence.To(inputs));
    KvCache cache = EmptyCache({}, cached);
    const auto results = RunPasses(cache, of, {6, 2, 4}, PromptsThenDecoding({5, 17, 5}, 4));
    EXPECT_EQ(results[0].scalar_type(), inputs);
    ExpectTheFormula(results, sequences, tolerance);
  }
}

TEST_P(CachedAttentions, TakeNoGradients) {
  KvCache cache = EmptyCache();
  const at::Tensor q = at::ones({3, 4, 16}).set_requires_grad(true);
  const at::Tensor k = at::ones({3, 2, 16}).set_requires_grad(true);
  CachedAttention attention(cache, {{.slot = 0, .past = 0, .rows = 2}, {.slot = 1}}, GetParam());
  EXPECT_FALSE(attention.Forward(0, q, k, k).requires_grad());
  EXPECT_FALSE(cache.keys(0).requires_grad());
}

INSTANTIATE_TEST_SUITE_P(Kernels, CachedAttentions, testing::Values(Kernels::kBest, Kernels::kAten),
                         [](const auto& test) {
                           return test.param == Kernels::kBest ? "Best" : "Aten";
                         });

}  // namespace
}  // namespace attnrl::attention
