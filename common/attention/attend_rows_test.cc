// SPDX-License-Identifier: Apache-2.0
#include "common/attention/attend_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/attention/testing/reference.h"

namespace attnrl::attention {
namespace {

constexpr int64_t kLayer = 1;

// Two layers of random keys and values in every slot up to the last token.
KvCache FullCache(RandomStream& random, const Heads& heads, int64_t slots, int64_t tokens,
                  at::ScalarType dtype = at::kFloat) {
  KvCache cache({2, slots, tokens, heads.kv, heads.dim}, dtype, at::kCPU);
  for (int64_t layer = 0; layer < 2; ++layer) {
    cache.keys(layer).copy_(RandomTensor(random, {slots, tokens, heads.kv, heads.dim}));
    cache.values(layer).copy_(RandomTensor(random, {slots, tokens, heads.kv, heads.dim}));
  }
  return cache;
}

at::Tensor Queries(RandomStream& random, const std::vector<CachedRow>& rows, const Heads& heads) {
  return RandomTensor(random, {static_cast<int64_t>(rows.size()), heads.query, heads.dim}, 4);
}

at::Tensor Expected(const KvCache& cache, const at::Tensor& q, const std::vector<CachedRow>& rows) {
  std::vector<at::Tensor> results;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto seen = [&](const at::Tensor& slots) {
      return slots[rows[i].slot].narrow(0, 0, rows[i].tokens);
    };
    const at::Tensor nothing = at::zeros({1, rows[i].tokens}, at::TensorOptions(at::kBool));
    results.push_back(AttendByFormula({q.narrow(0, static_cast<int64_t>(i), 1),
                                       seen(cache.keys(kLayer)), seen(cache.values(kLayer))},
                                      nothing));
  }
  return at::cat(results);
}

// Lengths around the kernel's registers of 16 keys and its blocks of 64.
const std::vector<CachedRow> kEdges = {{2, 1},  {0, 2},  {1, 15}, {2, 16},  {0, 17},  {1, 31},
                                       {2, 63}, {0, 64}, {1, 65}, {2, 127}, {0, 128}, {1, 130}};
constexpr int64_t kSlots = 3;
constexpr int64_t kMaxTokens = 130;

TEST(AttendRows, ServesCachesOfFloat32AndBfloat16) {
  const KvCacheShape shape = {1, 1, 1, 1, 2};
  EXPECT_TRUE(CanAttendRows(KvCache(shape, at::kFloat, at::kCPU)));
  EXPECT_TRUE(CanAttendRows(KvCache(shape, at::kBFloat16, at::kCPU)));
  EXPECT_FALSE(CanAttendRows(KvCache(shape, at::kDouble, at::kCPU)));
  EXPECT_FALSE(CanAttendRows(KvCache(shape, at::kHalf, at::kCPU)));
}

TEST(AttendRows, IsTheFormulaAtTheEdgesOfBlocksWhateverTheHeads) {
  RandomStream random({.seed = 1});
  for (const Heads& heads : std::vector<Heads>{{1, 1, 2},
                                               {4, 4, 8},
                                               {4, 2, 16},
                                               {6, 2, 20},
                                               {5, 1, 32},
                                               {7, 1, 48},
                                               {6, 3, 64},
                                               {9, 3, 80},
                                               {2, 1, 112},
                                               {14, 2, 128}}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const KvCache cache = FullCache(random, heads, kSlots, kMaxTokens, dtype);
      const at::Tensor q = Queries(random, kEdges, heads);
      EXPECT_LT(Worst(AttendRows(cache, kLayer, q, kEdges), Expected(cache, q, kEdges)), 3e-6)
          << heads.query << " / " << heads.kv << " x " << heads.dim << " " << dtype;
    }
  }
}

TEST(AttendRows, GivesAQueryHeadWhatItsKeyHeadHolds) {
  KvCache cache({2, 1, 4, 3, 16}, at::kFloat, at::kCPU);
  for (int64_t head = 0; head < 3; ++head) {
    cache.values(kLayer).select(2, head).fill_(static_cast<double>(head + 1));
  }
  const at::Tensor result = AttendRows(cache, kLayer, at::ones({1, 6, 16}), {{0, 4}});
  for (int64_t head = 0; head < 6; ++head) {
    const at::Tensor expected = at::full({16}, static_cast<double>(head / 2 + 1));
    EXPECT_TRUE(at::equal(result[0][head], expected)) << head;
  }
}

TEST(AttendRows, GivesARowTheSameBitsInAnyOrderAndCompany) {
  RandomStream random({.seed = 2});
  const Heads heads = {6, 2, 20};
  const KvCache cache = FullCache(random, heads, kSlots, kMaxTokens);
  const at::Tensor q = Queries(random, kEdges, heads);
  const at::Tensor together = AttendRows(cache, kLayer, q, kEdges);
  const std::vector<CachedRow> reversed(kEdges.rbegin(), kEdges.rend());
  EXPECT_TRUE(at::equal(AttendRows(cache, kLayer, q.flip(0), reversed).flip(0), together));
  for (int64_t row = 0; row < q.size(0); ++row) {
    const CachedRow& place = kEdges[static_cast<size_t>(row)];
    const at::Tensor alone = AttendRows(cache, kLayer, q.narrow(0, row, 1), {place});
    EXPECT_TRUE(at::equal(alone[0], together[row])) << row;
  }
}

TEST(AttendRows, GivesARowTheSameBitsInEverySlot) {
  RandomStream random({.seed = 3});
  const Heads heads = {4, 2, 24};
  KvCache cache = FullCache(random, heads, kSlots, kMaxTokens);
  cache.CopyPrefix(0, 2, 70);
  const at::Tensor q = Queries(random, {{0, 70}}, heads).expand({2, -1, -1});
  const at::Tensor result = AttendRows(cache, kLayer, q, {{0, 70}, {2, 70}});
  EXPECT_TRUE(at::equal(result[0], result[1]));
}

// What was never written, or by an earlier owner of the slot, may be anything.
TEST(AttendRows, ReadsNothingButTheTokensOfItsRowsInItsLayer) {
  RandomStream random({.seed = 4});
  for (const int64_t head_dim : {6, 16, 20}) {
    const Heads heads = {4, 2, head_dim};
    for (const int64_t tokens : {1, 15, 16, 17, 64, 65}) {
      KvCache cache = FullCache(random, heads, kSlots, kMaxTokens);
      const at::Tensor q = Queries(random, {{1, tokens}}, heads);
      const at::Tensor expected = Expected(cache, q, {{1, tokens}});
      for (const at::Tensor& slots : {cache.keys(kLayer), cache.values(kLayer)}) {
        const at::Tensor kept = slots[1].narrow(0, 0, tokens).clone();
        slots.fill_(NAN);
        slots[1].narrow(0, 0, tokens).copy_(kept);
      }
      cache.keys(0).fill_(NAN);
      EXPECT_LT(Worst(AttendRows(cache, kLayer, q, {{1, tokens}}), expected), 3e-6)
          << head_dim << " " << tokens;
    }
  }
}

TEST(AttendRows, FollowsTheLargestScoreHoweverLargeItIs) {
  const Heads heads = {2, 1, 16};
  RandomStream random({.seed = 5});
  KvCache cache = FullCache(random, heads, 1, 40);
  cache.keys(kLayer).fill_(-1);
  cache.keys(kLayer)[0][23].fill_(1);
  for (const double size : {1e3, 1e6, 1e30}) {
    const at::Tensor result =
        AttendRows(cache, kLayer, at::full({1, 2, 16}, size), {{.slot = 0, .tokens = 40}});
    for (int64_t head = 0; head < 2; ++head) {
      EXPECT_LT(Worst(result[0][head], cache.values(kLayer)[0][23][0]), 1e-6) << size;
    }
  }
}

TEST(AttendRows, ReturnsTheTypeOfItsQueriesAndReadsViews) {
  RandomStream random({.seed = 6});
  const Heads heads = {4, 2, 16};
  const KvCache cache = FullCache(random, heads, kSlots, kMaxTokens);
  const at::Tensor q = Queries(random, kEdges, heads);
  const at::Tensor narrow = AttendRows(cache, kLayer, q.to(at::kBFloat16), kEdges);
  EXPECT_EQ(narrow.scalar_type(), at::kBFloat16);
  const at::Tensor rounded = q.to(at::kBFloat16).to(at::kFloat);
  EXPECT_TRUE(at::equal(narrow, AttendRows(cache, kLayer, rounded, kEdges).to(at::kBFloat16)));
  const at::Tensor fused = at::cat({at::zeros_like(q), q, at::zeros_like(q)}, 1);
  EXPECT_TRUE(at::equal(AttendRows(cache, kLayer, fused.narrow(1, 4, 4), kEdges),
                        AttendRows(cache, kLayer, q, kEdges)));
}

TEST(AttendRows, OfNoRowsIsEmpty) {
  const KvCache cache({2, 1, 1, 2, 16}, at::kFloat, at::kCPU);
  EXPECT_EQ(AttendRows(cache, kLayer, at::empty({0, 4, 16}), {}).sizes(),
            (std::vector<int64_t>{0, 4, 16}));
}

}  // namespace
}  // namespace attnrl::attention
