// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "common/attention/cuda/append_rows.h"
#include "common/attention/cuda/paged_decode.h"
#include "common/attention/cuda/prompts/gather_keys.h"
#include "common/attention/cuda/score_updates.h"
#include "common/attention/cuda/testing/gather_case.h"
#include "common/attention/cuda/testing/paged_case.h"
#include "common/attention/cuda/testing/scored_case.h"
#include "tests/bench/gpu/gpu_check.h"

namespace attnrl::bench {
namespace {

using attention::DecodeScoredRow;
using attention::GreatestDifference;
using attention::PagedCase;
using attention::PagedDecode;
using attention::PagedSequence;
using attention::PagedShape;
using attention::ScoredCase;
using attention::ScoreUpdateCase;
using cuda::BFloat16;

// A case on the GPU.
template <typename T>
struct Decode {
  const PagedCase<T>& of;
  size_t results = static_cast<size_t>(of.plan.rows() * of.shape.heads);
  size_t part_results = static_cast<size_t>(of.decode.parts() * of.shape.heads);
  OnGpu<attention::DecodeUnit> units{of.decode.units()};
  OnGpu<attention::BlockTask> tasks{of.plan.tasks()};
  OnGpu<attention::BlockPiece> pieces{of.plan.pieces()};
  OnGpu<int32_t> visible{of.plan.visible()};
  OnGpu<int32_t> first_part{of.decode.first_part()};
  OnGpu<int32_t> part_of{of.decode.part_of()};
  OnGpu<T> keys{of.keys}, values{of.values}, q{of.q};
  OnGpu<T> out{results * static_cast<size_t>(of.shape.head_dim)};
  OnGpu<float> lse{results};
  OnGpu<float> part_out{part_results * static_cast<size_t>(of.shape.head_dim)};
  OnGpu<float> part_largest{part_results}, part_sum{part_results};
  std::optional<OnGpu<DecodeScoredRow>> scored = std::nullopt;
  std::optional<OnGpu<int32_t>> scored_of = std::nullopt;
  const int32_t* ends = nullptr;
  attention::StepPiece* step_pieces = nullptr;
  int64_t step_pieces_a_head = 0;
  int32_t layer = 0;

  cuda::LaunchError Launch(cuda::Stream stream) const {
    const PagedDecode<T> pass{.units = units.get(),
                              .tasks = tasks.get(),
                              .pieces = pieces.get(),
                              .visible = visible.get(),
                              .first_part = first_part.get(),
                              .part_of = part_of.get(),
                              .keys = keys.get(),
                              .values = values.get(),
                              .q = q.get(),
                              .heads = static_cast<int32_t>(of.shape.heads),
                              .kv_heads = static_cast<int32_t>(of.shape.kv_heads),
                              .scale = of.scale,
                              .layer = layer,
                              .scored = scored.has_value() ? scored->get() : nullptr,
                              .scored_of = scored_of.has_value() ? scored_of->get() : nullptr,
                              .ends = ends,
                              .step_pieces = step_pieces,
                              .step_pieces_a_head = step_pieces_a_head,
                              .part_out = part_out.get(),
                              .part_largest = part_largest.get(),
                              .part_sum = part_sum.get(),
                              .out = out.get(),
                              .lse = lse.get()};
    return LaunchPagedDecode(pass, static_cast<int64_t>(of.decode.units().size()), of.plan.rows(),
                             of.shape.head_dim, stream);
  }
};

template <typename T>
void Compare(Table& table, const std::string& shape, const PagedCase<T>& of) {
  const Decode<T> decode{of};
  Check(decode.Launch(nullptr), "paged decode");
  const std::vector<T> out = decode.out.Fetch();
  const std::vector<float> lse = decode.lse.Fetch();
  const attention::PagedReference expected = AttendInDouble(of);
  // bfloat16 results are at most 1 here, and rounded once.
  double worst = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    worst = std::max(worst, std::abs(cuda::ToFloat(out[i]) - expected.out[i]));
  }
  double worst_lse = 0;
  for (size_t i = 0; i < lse.size(); ++i) {
    worst_lse = std::max(worst_lse, std::abs(lse[i] - expected.lse[i]));
  }
  table.Add({"paged decode", shape, worst, sizeof(T) == 2 ? 0x1p-8 : 2e-6});
  table.Add({"paged decode, log-sum-exp", shape, worst_lse, 4e-6});
}

// Online FCI: what a pass adds to the sums of its scored rows.
template <typename T>
void CompareSums(Table& table, const std::string& shape_name, const PagedShape& shape) {
  const ScoredCase scores{.heads = shape.heads};
  const PagedCase<T> of(shape, scores.sequences);
  Decode<T> decode{of};
  const OnGpu<float> sums(scores.SumsBefore());
  const OnGpu<int32_t> ends(scores.AllEnds());
  const OnGpu<attention::StepPiece> scratch(static_cast<size_t>(shape.heads * scores.Pieces()));
  decode.scored.emplace(scores.Rows(sums.get()));
  decode.scored_of.emplace(scores.scored_of);
  decode.ends = ends.get();
  decode.step_pieces = scratch.get();
  decode.step_pieces_a_head = scores.Pieces();
  decode.layer = 1;
  Check(decode.Launch(nullptr), "online FCI");
  table.Add({"online FCI, sums", shape_name,
             GreatestDifference(sums.Fetch(), scores.SumsAfter(AttendInDouble(of))), 2e-6});
}

void CheckScoreUpdates(Table& table) {
  const ScoreUpdateCase of;
  const std::vector<float> current = of.Numbers(5), total = of.Numbers(6);
  const OnGpu<float> current_there(current), total_there(total);
  const OnGpu<attention::ScoreUpdate> updates(of.Updates(current_there.get(), total_there.get()));
  const attention::ScoreUpdates pass{.updates = updates.get(),
                                     .count = static_cast<int32_t>(of.responses.size()),
                                     .rows = of.rows};
  Check(LaunchScoreUpdates(pass, nullptr), "score updates");
  std::vector<float> found = current_there.Fetch();
  const std::vector<float> found_total = total_there.Fetch();
  found.insert(found.end(), found_total.begin(), found_total.end());
  table.Add({"online FCI, ended steps", "4 responses, 21 layers and heads",
             GreatestDifference(found, of.InDouble(current, total)), 8e-7});
  // 28 layers of 12 heads; every response ends a step. The sums that are left are zeros.
  const ScoreUpdateCase many{.rows = 28 * 12,
                             .responses = std::vector<ScoreUpdateCase::Response>(
                                 256, {.stride = 64, .steps = 32, .queries = 32})};
  const OnGpu<float> sums(many.Numbers(5)), totals(many.Numbers(6));
  const OnGpu<attention::ScoreUpdate> all(many.Updates(sums.get(), totals.get()));
  const attention::ScoreUpdates launch{.updates = all.get(), .count = 256, .rows = many.rows};
  table.Add({"online FCI, ended steps",
             "256 responses of 32 steps, 28 layers of 12 heads",
             {},
             0,
             SecondsOf([&](cuda::Stream stream) { return LaunchScoreUpdates(launch, stream); }),
             256.0 * 32 * 28 * 12 * 16});
}

// What decoding appends: 256 rows, turned by nothing (cosine 1, sine 0), so that
// the cache must hold what came in.
void CheckAppend(Table& table) {
  const PagedShape shape{.heads = 12, .kv_heads = 2, .head_dim = 128};
  const PagedCase<BFloat16> of(shape, std::vector<PagedSequence>(256, {.tokens = 64}));
  const int64_t rows = of.plan.rows();
  std::vector<BFloat16> projected(static_cast<size_t>(rows * 16 * 128));
  for (size_t i = 0; i < projected.size(); ++i) {
    projected[i] = cuda::FromFloat<BFloat16>(static_cast<float>(i % 251));
  }
  const OnGpu<float> cosine(std::vector<float>(size_t{64} * 128, 1)),
      sine(std::vector<float>(size_t{64} * 128, 0));
  const OnGpu<BFloat16> projected_there(projected), q(static_cast<size_t>(rows * 12 * 128)),
      keys(of.keys), values(of.values);
  const OnGpu<int32_t> visible(of.plan.visible());
  const OnGpu<attention::RowPlace> places(of.plan.places());
  constexpr int64_t kStride = 16 * 128;
  const attention::AppendRows<BFloat16> pass{.q = projected_there.get(),
                                             .k = projected_there.get() + 12 * 128,
                                             .v = projected_there.get() + 14 * 128,
                                             .q_stride = kStride,
                                             .k_stride = kStride,
                                             .v_stride = kStride,
                                             .heads = 12,
                                             .kv_heads = 2,
                                             .head_dim = 128,
                                             .cosine = cosine.get(),
                                             .sine = sine.get(),
                                             .visible = visible.get(),
                                             .places = places.get(),
                                             .turned = q.get(),
                                             .keys = keys.get(),
                                             .values = values.get()};
  const double seconds =
      SecondsOf([&](cuda::Stream stream) { return LaunchAppendRows(pass, rows, stream); });
  const std::vector<BFloat16> queries = q.Fetch(), found_keys = keys.Fetch(),
                              found_values = values.Fetch();
  double wrong = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const attention::RowPlace place = of.plan.places()[static_cast<size_t>(row)];
    for (int64_t i = 0; i < int64_t{16} * 128; ++i) {
      const int64_t head = i / 128;
      const BFloat16 found = head < 12   ? queries[static_cast<size_t>(row * 12 * 128 + i)]
                             : head < 14 ? found_keys[static_cast<size_t>(of.KeyAt(
                                               place.block, place.offset, head - 12, i % 128))]
                                         : found_values[static_cast<size_t>(of.ValueAt(
                                               place.block, place.offset, head - 14, i % 128))];
      if (found.bits != projected[static_cast<size_t>(row * 16 * 128 + i)].bits) ++wrong;
    }
  }
  table.Add({"rotation and append, wrong numbers", "256 rows, 12 on 2 heads of 128, bfloat16",
             wrong, 0, seconds, static_cast<double>(rows * 16 * 128) * 2 * 2});
}

// Keys and values of prompts, brought side by side for flash attention.
template <typename T>
void CheckGather(Table& table, const std::string& type) {
  for (const int32_t head_dim : {64, 128}) {
    const attention::GatherCase<T> of{head_dim};
    const OnGpu<attention::GatheredPiece> pieces(of.pieces);
    const OnGpu<T> keys(of.keys), values(of.values), k(of.before), v(of.before);
    Check(LaunchGatherKeys(attention::GatherCase<T>::Pass(pieces.get(), keys.get(), values.get(),
                                                          head_dim, k.get(), v.get()),
                           static_cast<int64_t>(of.pieces.size()), nullptr),
          "keys of prompts");
    table.Add({"keys of prompts, wrong numbers",
               "2 heads of " + std::to_string(head_dim) + ", " + type,
               static_cast<double>(of.Wrong(k.Fetch(), v.Fetch())), 0});
  }
}

// 16 prompts of 16 responses each, whose context is 2,048 tokens.
std::vector<PagedSequence> Responses(int64_t prompt, int64_t tokens) {
  std::vector<PagedSequence> sequences;
  for (int64_t group = 0; group < 16; ++group) {
    const auto first = static_cast<int64_t>(sequences.size());
    sequences.push_back({.tokens = tokens});
    for (int i = 1; i < 16; ++i) {
      sequences.push_back({.parent = first, .shared = prompt, .tokens = tokens});
    }
  }
  return sequences;
}

void Time(Table& table, const std::string& shape, int64_t prompt, bool online_fci) {
  constexpr int64_t kTokens = 2048;
  constexpr int32_t kStepTokens = 32;
  const PagedCase<BFloat16> of({.heads = 12, .kv_heads = 2, .head_dim = 128},
                               Responses(prompt, kTokens));
  Decode<BFloat16> decode{of};
  // Steps of 32 tokens after the prompt.
  std::vector<int32_t> ends;
  for (auto end = static_cast<int32_t>(prompt) + 7; end < kTokens; end += kStepTokens) {
    ends.push_back(end);
  }
  const auto steps = static_cast<int64_t>(ends.size());
  const int64_t pieces = DecodeScoredRow::StepPieces(prompt, ends.back(), steps);
  const int64_t rows = of.plan.rows();
  const OnGpu<int32_t> ends_on_gpu(ends);
  const OnGpu<float> sums(std::vector<float>(static_cast<size_t>(rows * 12 * steps)));
  const OnGpu<attention::StepPiece> scratch(static_cast<size_t>(rows * 12 * pieces));
  if (online_fci) {
    std::vector<DecodeScoredRow> scored;
    std::vector<int32_t> scored_of;
    for (int64_t row = 0; row < rows; ++row) {
      scored.push_back({.first_key = static_cast<int32_t>(prompt),
                        .steps = static_cast<int32_t>(steps),
                        .first_end = 0,
                        .sums = sums.get() + row * 12 * steps,
                        .stride = steps,
                        .first_piece = row * pieces});
      scored_of.push_back(static_cast<int32_t>(row));
    }
    decode.ends = ends_on_gpu.get();
    decode.step_pieces = scratch.get();
    decode.step_pieces_a_head = rows * pieces;
    decode.scored.emplace(scored);
    decode.scored_of.emplace(scored_of);
  }
  const double seconds = SecondsOf([&](cuda::Stream stream) { return decode.Launch(stream); });
  const double distinct = static_cast<double>(16 * prompt + 256 * (kTokens - prompt));
  table.Add({online_fci ? "paged decode, online FCI" : "paged decode",
             shape,
             {},
             0,
             seconds,
             distinct * 2 * 2 * 128 * 2,
             256.0 * kTokens * 12 * 128 * 4});
}

}  // namespace

void AddDecode(Table& table) {
  const std::vector<PagedSequence> family = {{.tokens = 161, .rows = 3},
                                             {.shared = 161, .tokens = 170},
                                             {.shared = 150, .tokens = 1280, .rows = 2},
                                             {.shared = 161, .tokens = 1200},
                                             {.shared = 40, .tokens = 129}};
  for (const int64_t repeats : {1, 6, 7, 8}) {
    for (const int64_t head_dim : {64, 128}) {
      const PagedShape shape{.heads = 2 * repeats, .kv_heads = 2, .head_dim = head_dim};
      const std::string name =
          std::to_string(repeats) + " heads a key head of " + std::to_string(head_dim);
      Compare<float>(table, name + ", float32", {shape, family});
      Compare<BFloat16>(table, name + ", bfloat16", {shape, family});
      CompareSums<float>(table, name + ", float32", shape);
      CompareSums<BFloat16>(table, name + ", bfloat16", shape);
    }
  }
  CheckScoreUpdates(table);
  CheckAppend(table);
  CheckGather<float>(table, "float32");
  CheckGather<BFloat16>(table, "bfloat16");
  Time(table, "256 x 2,048, nothing shared, 12 on 2 heads of 128, bfloat16", 0, false);
  Time(table, "256 x 2,048, 16 prompts of 1,024, the same", 1024, false);
  Time(table, "256 x 2,048, 16 prompts of 1,024, the same", 1024, true);
}

}  // namespace attnrl::bench
