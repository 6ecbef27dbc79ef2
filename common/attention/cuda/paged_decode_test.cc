// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "common/attention/cuda/decode_attend_kernel.h"
#include "common/attention/cuda/decode_merge_kernel.h"
#include "common/attention/cuda/testing/paged_case.h"
#include "common/attention/cuda/testing/scored_case.h"
#include "common/attention/paged/kernel.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::attention {
namespace {

using cuda::BFloat16;
using cuda::ThreadOrder;

template <typename T>
struct Result {
  std::vector<T> out;
  std::vector<float> lse;

  std::vector<uint32_t> Bits() const {
    std::vector<uint32_t> bits;
    for (const T& x : out) bits.push_back(cuda::BitsOf(cuda::ToFloat(x)));
    for (const float x : lse) bits.push_back(cuda::BitsOf(x));
    return bits;
  }
};

template <typename T, int kHeadDim>
Result<T> RunKernels(const PagedCase<T>& of, ThreadOrder order,
                     const std::vector<DecodeScoredRow>& scored = {},
                     const std::vector<int32_t>& scored_of = {},
                     const std::vector<int32_t>& ends = {}, int64_t step_pieces = 0,
                     int32_t layer = 0) {
  const int64_t results = of.plan.rows() * of.shape.heads;
  const auto parts = static_cast<size_t>(of.decode.parts() * of.shape.heads);
  Result<T> result{std::vector<T>(static_cast<size_t>(results * kHeadDim)),
                   std::vector<float>(static_cast<size_t>(results))};
  std::vector<float> part_out(parts * kHeadDim, NAN), part_largest(parts, NAN),
      part_sum(parts, NAN);
  std::vector<StepPiece> piece_scratch(static_cast<size_t>(of.shape.heads * step_pieces),
                                       StepPiece{NAN, NAN});
  const PagedDecode<T> pass{.units = of.decode.units().data(),
                            .tasks = of.plan.tasks().data(),
                            .pieces = of.plan.pieces().data(),
                            .visible = of.plan.visible().data(),
                            .first_part = of.decode.first_part().data(),
                            .part_of = of.decode.part_of().data(),
                            .keys = of.keys.data(),
                            .values = of.values.data(),
                            .q = of.q.data(),
                            .heads = static_cast<int32_t>(of.shape.heads),
                            .kv_heads = static_cast<int32_t>(of.shape.kv_heads),
                            .scale = of.scale,
                            .layer = layer,
                            .scored = scored.empty() ? nullptr : scored.data(),
                            .scored_of = scored_of.data(),
                            .ends = ends.data(),
                            .step_pieces = piece_scratch.data(),
                            .step_pieces_a_head = step_pieces,
                            .part_out = part_out.data(),
                            .part_largest = part_largest.data(),
                            .part_sum = part_sum.data(),
                            .out = result.out.data(),
                            .lse = result.lse.data()};
  const auto units = static_cast<int64_t>(of.decode.units().size());
  const absl::Status attended =
      cuda::Emulate<DecodeAttend<T, kHeadDim>>({units, of.shape.kv_heads}, pass, order);
  EXPECT_TRUE(attended.ok()) << attended;
  const absl::Status merged =
      cuda::Emulate<DecodeMerge<T, kHeadDim>>({of.plan.rows(), of.shape.heads}, pass, order);
  EXPECT_TRUE(merged.ok()) << merged;
  return result;
}

// The same bits in every order of threads, near the formula.
template <typename T, int kHeadDim>
void ExpectTheFormula(const PagedCase<T>& of) {
  const PagedReference expected = AttendInDouble(of);
  std::vector<std::vector<uint32_t>> bits;
  // A bfloat16 result is rounded once, at the end.
  const double rounding = sizeof(T) == 2 ? 0x1p-8 : 0;
  for (const ThreadOrder order : cuda::kAllOrders) {
    const Result<T> result = RunKernels<T, kHeadDim>(of, order);
    bits.push_back(result.Bits());
    ASSERT_EQ(bits.back(), bits.front());
    for (size_t i = 0; i < expected.out.size(); ++i) {
      ASSERT_NEAR(cuda::ToFloat(result.out[i]), expected.out[i],
                  2e-6 + rounding * std::abs(expected.out[i]))
          << i;
    }
    for (size_t i = 0; i < expected.lse.size(); ++i) {
      ASSERT_NEAR(result.lse[i], expected.lse[i], 4e-6) << i;
    }
  }
}

// Lengths around the ends of blocks.
const std::vector<PagedSequence> kBlockEdges = {{.tokens = 1},   {.tokens = 31},  {.tokens = 33},
                                                {.tokens = 127}, {.tokens = 128}, {.tokens = 129}};

class PagedDecodeGroups : public testing::TestWithParam<int64_t> {};

TEST_P(PagedDecodeGroups, EqualTheFormulaAtTheEdgesOfBlocks) {
  const PagedShape shape{.heads = GetParam() * 2, .kv_heads = 2, .head_dim = 64};
  ExpectTheFormula<float, 64>({shape, kBlockEdges});
  ExpectTheFormula<BFloat16, 64>({shape, kBlockEdges});
}

INSTANTIATE_TEST_SUITE_P(Repeats, PagedDecodeGroups, testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 12));

TEST(PagedDecode, EqualsTheFormulaForHeadsOf128Elements) {
  const PagedShape shape{.heads = 7, .kv_heads = 1, .head_dim = 128};
  ExpectTheFormula<float, 128>({shape, kBlockEdges});
  ExpectTheFormula<BFloat16, 128>({shape, kBlockEdges});
}

// A prompt of which one sibling sees all, one leaves it in the middle of a block, one early; so
// many that the rows of what they share are more than a unit takes.
const std::vector<PagedSequence> kFamily = {
    {.tokens = 161, .rows = 3},      {.shared = 161, .tokens = 170},
    {.shared = 161, .tokens = 224},  {.shared = 150, .tokens = 180, .rows = 2},
    {.shared = 40, .tokens = 41},    {.shared = 161, .tokens = 162},
    {.shared = 161, .tokens = 163},  {.shared = 161, .tokens = 200},
    {.shared = 161, .tokens = 1200}, {.shared = 161, .tokens = 167}};

TEST(PagedDecode, EqualsTheFormulaForSiblingsThatShareAPrompt) {
  ExpectTheFormula<float, 64>({{.heads = 6, .kv_heads = 2, .head_dim = 64}, kFamily});
  ExpectTheFormula<BFloat16, 64>({{.heads = 8, .kv_heads = 1, .head_dim = 64}, kFamily});
  ExpectTheFormula<float, 128>({{.heads = 6, .kv_heads = 1, .head_dim = 128}, kFamily});
  ExpectTheFormula<BFloat16, 128>({{.heads = 12, .kv_heads = 2, .head_dim = 128}, kFamily});
}

TEST(PagedDecode, GivesTheRowsOfTheCpusKernelOverTheSameCacheAndPlan) {
  const PagedCase<float> of({.heads = 14, .kv_heads = 2, .head_dim = 64}, kFamily);
  const Result<float> result = RunKernels<float, 64>(of, ThreadOrder::kShuffled);
  const int64_t results = of.plan.rows() * of.shape.heads;
  const int64_t slots = std::min(of.plan.segments(), 2);
  std::vector<float> out(static_cast<size_t>(slots * results * of.shape.head_dim));
  std::vector<float> largest(static_cast<size_t>(slots * results)), sum(largest.size());
  const PagedArguments arguments{.tasks = of.plan.tasks().data(),
                                 .pieces = of.plan.pieces().data(),
                                 .visible = of.plan.visible().data(),
                                 .float32 = {of.keys.data(), of.values.data()},
                                 .q = of.q.data(),
                                 .heads = of.shape.heads,
                                 .kv_heads = of.shape.kv_heads,
                                 .head_dim = of.shape.head_dim,
                                 .scale = of.scale,
                                 .rows = of.plan.rows(),
                                 .out = out.data(),
                                 .largest = largest.data(),
                                 .sum = sum.data()};
  const PagedKernel& kernel = GetPagedKernel();
  for (int64_t kv_head = 0; kv_head < of.shape.kv_heads; ++kv_head) {
    for (const TaskChain& chain : of.plan.chains()) {
      const int64_t slot = std::min(chain.segment, 1);
      kernel.attend(arguments, chain, kv_head, slot);
      if (slot > 0) kernel.fold(arguments, chain, kv_head, slot);
    }
    for (const int32_t set : of.plan.row_sets()) {
      if (static_cast<size_t>(set) == of.plan.chains().size()) break;
      kernel.finish(arguments, of.plan.chains()[static_cast<size_t>(set)], kv_head);
    }
  }
  for (size_t i = 0; i < result.out.size(); ++i) ASSERT_NEAR(result.out[i], out[i], 3e-6) << i;
  for (size_t i = 0; i < result.lse.size(); ++i) {
    ASSERT_NEAR(result.lse[i], largest[i] + std::log(sum[i]), 5e-6) << i;
  }
}

TEST(PagedDecode, ABlockOfThreadsWithoutAUnitTouchesNothing) {
  using Kernel = DecodeAttend<float, 64>;
  const DecodeUnit none;
  const PagedDecode<float> pass{.units = &none, .heads = 2, .kv_heads = 1};
  const absl::Status ran = cuda::EmulateBlocks(
      {}, Kernel::kThreads, sizeof(Kernel::Shared), ThreadOrder::kShuffled, [&](void* memory) {
        auto& shared = *static_cast<Kernel::Shared*>(memory);
        Kernel::Run(pass, shared);
        EXPECT_TRUE(std::isnan(shared.queries[cuda::ThreadIndex() % 64][0]));
        EXPECT_TRUE(std::isnan(shared.sum[0][0]));
      });
  EXPECT_TRUE(ran.ok()) << ran;
}

template <typename T, int kHeadDim>
void ExpectTheSumsOfTheFormula(const PagedShape& shape) {
  const ScoredCase scores{.heads = shape.heads};
  const PagedCase<T> of(shape, scores.sequences);
  const std::vector<double> expected = scores.SumsAfter(AttendInDouble(of));
  std::vector<float> first;
  for (const ThreadOrder order : cuda::kAllOrders) {
    std::vector<float> sums = scores.SumsBefore();
    RunKernels<T, kHeadDim>(of, order, scores.Rows(sums.data()), scores.scored_of, scores.AllEnds(),
                            scores.Pieces(), /*layer=*/1);
    if (first.empty()) first = sums;
    ASSERT_EQ(sums, first);
    EXPECT_LE(GreatestDifference(sums, expected), 2e-6);
  }
}

TEST(PagedDecode, AddsUpWhatScoredRowsAttendToInEachStep) {
  ExpectTheSumsOfTheFormula<float, 64>({.heads = 14, .kv_heads = 2, .head_dim = 64});
  ExpectTheSumsOfTheFormula<BFloat16, 64>({.heads = 4, .kv_heads = 2, .head_dim = 64});
  ExpectTheSumsOfTheFormula<float, 128>({.heads = 6, .kv_heads = 1, .head_dim = 128});
  ExpectTheSumsOfTheFormula<BFloat16, 128>({.heads = 12, .kv_heads = 2, .head_dim = 128});
}

}  // namespace
}  // namespace attnrl::attention
