// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/decode_attention.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace attnrl::attention {
namespace {

// Of a padded pass: fewer blocks of threads than a GPU runs at once.
constexpr int64_t kLeastUnits = 64;

void Check(cuda::LaunchError error) {
  if (error != nullptr) throw std::runtime_error(std::string("the GPU: ") + error);
}

struct ScoredTables {
  std::vector<DecodeScoredRow> rows;
  std::vector<int32_t> of;  // by row of the pass
  std::vector<int32_t> ends;
  int64_t step_pieces = 0;
};

ScoredTables MakeScored(std::span<const ScoredRow> scored, int64_t rows) {
  ScoredTables tables;
  tables.of.assign(static_cast<size_t>(rows), -1);
  for (const ScoredRow& row : scored) {
    if (row.steps == 0) continue;  // counts for no step yet
    tables.of[static_cast<size_t>(row.row)] = static_cast<int32_t>(tables.rows.size());
    tables.rows.push_back({.first_key = row.first_key,
                           .steps = row.steps,
                           .first_end = static_cast<int64_t>(tables.ends.size()),
                           .sums = row.sums,
                           .stride = row.stride,
                           .first_piece = tables.step_pieces});
    tables.ends.insert(tables.ends.end(), row.ends, row.ends + row.steps);
    tables.step_pieces += DecodeScoredRow::StepPieces(row.first_key, tables.ends.back(), row.steps);
  }
  return tables;
}

DecodeSize SizeOf(const AttentionPlan& plan, const DecodePlan& decode,
                  std::span<const ScoredRow> scored) {
  const ScoredTables tables = MakeScored(scored, plan.rows());
  return {.rows = plan.rows(),
          .units = static_cast<int64_t>(decode.units().size()),
          .tasks = static_cast<int64_t>(plan.tasks().size()),
          .pieces = static_cast<int64_t>(plan.pieces().size()),
          .parts = decode.parts(),
          .ends = static_cast<int64_t>(tables.ends.size()),
          .step_pieces = tables.step_pieces};
}

int64_t PowerOfTwo(int64_t least) {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(least)));
}

// Four sizes for each power of two, at most a quarter more than `least`: for what costs launched
// blocks and scratch.
int64_t QuarterSteps(int64_t least) {
  const int64_t step = std::max<int64_t>(PowerOfTwo(least + 1) / 8, 1);
  return (least + step - 1) / step * step;
}

// Rows of heads that lie side by side, however far apart the rows are.
at::Tensor WithDenseRows(const at::Tensor& x) {
  return x.stride(2) == 1 && x.stride(1) == x.size(2) ? x : x.contiguous();
}

}  // namespace

PromptRoom PromptRoom::For(const PagedKvShape& shape, at::ScalarType dtype, at::Device device) {
  const int64_t bytes =
      2 * shape.kv_heads * shape.head_dim * static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t tokens = std::min(kMostBytes / bytes, shape.blocks * kBlockTokens);
  const at::TensorOptions options = at::TensorOptions(dtype).device(device);
  return {at::empty({tokens, shape.kv_heads, shape.head_dim}, options),
          at::empty({tokens, shape.kv_heads, shape.head_dim}, options)};
}

DecodeTables::DecodeTables(const AttentionPlan& plan, int64_t repeats, device::Upload& upload,
                           std::span<const ScoredRow> scored, int64_t prompt_keys) {
  PromptPlan prompts;
  prompts.Build(plan, scored, prompt_keys);
  DecodePlan decode;
  decode.Build(plan, repeats, prompts.rows());
  size_ = SizeOf(plan, decode, scored);
  decoded_rows_ = size_.rows;
  Add(plan, decode, scored, {}, upload);
  if (prompts.keys() > 0) AddPrompts(prompts, upload);
}

DecodeTables::DecodeTables(const AttentionPlan& plan, int64_t repeats, device::Upload& upload,
                           std::span<const ScoredRow> scored, int64_t rows, RowPlace nowhere) {
  DecodePlan decode;
  decode.Build(plan, repeats);
  const DecodeSize size = SizeOf(plan, decode, scored);
  // The fewer sizes, the fewer graphs. What only lies in the upload has coarser ones.
  size_ = {.rows = rows,
           .units = QuarterSteps(std::max(size.units, kLeastUnits)),
           .tasks = PowerOfTwo(std::max(size.tasks, 4 * kLeastUnits)),
           .pieces = PowerOfTwo(std::max(size.pieces, 4 * kLeastUnits)),
           .parts = QuarterSteps(std::max(size.parts, kLeastUnits))};
  if (size.ends > 0) {
    size_.ends = PowerOfTwo(std::max<int64_t>(size.ends, 4 * rows));
    size_.step_pieces = PowerOfTwo(std::max<int64_t>(size.step_pieces, 4 * rows));
  }
  decoded_rows_ = rows;
  Add(plan, decode, scored, nowhere, upload);
}

void DecodeTables::Add(const AttentionPlan& plan, const DecodePlan& decode,
                       std::span<const ScoredRow> scored, RowPlace nowhere,
                       device::Upload& upload) {
  unit_array_.part = AddArray(decode.units(), upload, size_.units);
  tasks_.part = AddArray(plan.tasks(), upload, size_.tasks);
  pieces_.part = AddArray(plan.pieces(), upload, size_.pieces);
  visible_.part = AddArray(plan.visible(), upload, size_.rows, 1);
  first_part_.part =
      AddArray(decode.first_part(), upload, size_.rows + 1, decode.first_part().back());
  part_of_.part = AddArray(decode.part_of(), upload, size_.parts);
  places_.part = AddArray(plan.places(), upload, size_.rows, nowhere);
  if (size_.ends == 0) return;
  const ScoredTables tables = MakeScored(scored, size_.rows);
  scored_.emplace().part = AddArray(tables.rows, upload, size_.rows);
  scored_of_.emplace().part = AddArray(tables.of, upload);
  ends_.emplace().part = AddArray(tables.ends, upload, size_.ends);
}

void DecodeTables::AddPrompts(const PromptPlan& plan, device::Upload& upload) {
  const auto longest = [](const std::vector<int32_t>& ends) {
    int32_t most = 0;
    for (size_t i = 1; i < ends.size(); ++i) most = std::max(most, ends[i] - ends[i - 1]);
    return int64_t{most};
  };
  std::vector<int32_t> decoded;
  for (size_t row = 0; row < plan.rows().size(); ++row) {
    if (!plan.rows()[row]) decoded.push_back(static_cast<int32_t>(row));
  }
  decoded_rows_ = static_cast<int64_t>(decoded.size());
  prompts_ = {.sequences = {.most_queries = longest(plan.query_ends()),
                            .most_keys = longest(plan.key_ends())},
              .pieces = static_cast<int64_t>(plan.pieces().size()),
              .keys = plan.keys()};
  gathered_.emplace().part = AddArray(plan.pieces(), upload);
  query_ends_.emplace().part = AddArray(plan.query_ends(), upload);
  key_ends_.emplace().part = AddArray(plan.key_ends(), upload);
  decoded_.emplace().part = AddArray(decoded, upload);
  sequences_ = static_cast<int64_t>(plan.query_ends().size()) - 1;
}

void DecodeTables::Receive(const device::Upload& upload) {
  for (Array* array :
       {&unit_array_, &tasks_, &pieces_, &visible_, &first_part_, &part_of_, &places_}) {
    array->there = upload.Integers(array->part);
  }
  for (std::optional<Array>* array :
       {&scored_, &scored_of_, &ends_, &gathered_, &query_ends_, &key_ends_, &decoded_}) {
    if (array->has_value()) (*array)->there = upload.Integers((*array)->part);
  }
  if (!prompts_.has_value()) return;
  const auto ends = [&](const Array& array) {
    return array.there.view(at::kInt).narrow(0, 0, sequences_ + 1);
  };
  prompts_->sequences.query_ends = ends(*query_ends_);
  prompts_->sequences.key_ends = ends(*key_ends_);
}

template <typename T>
PagedDecode<T> DecodeTables::Decode() const {
  PagedDecode<T> pass{.units = unit_array_.As<DecodeUnit>(),
                      .tasks = tasks_.As<BlockTask>(),
                      .pieces = pieces_.As<BlockPiece>(),
                      .visible = visible_.As<int32_t>(),
                      .first_part = first_part_.As<int32_t>(),
                      .part_of = part_of_.As<int32_t>()};
  if (decoded_.has_value()) pass.merged = decoded_->As<int32_t>();
  if (scored_.has_value()) {
    pass.scored = scored_->As<DecodeScoredRow>();
    pass.scored_of = scored_of_->As<int32_t>();
    pass.ends = ends_->As<int32_t>();
  }
  return pass;
}

template <typename T>
AppendRows<T> DecodeTables::Append() const {
  return {.visible = visible_.As<int32_t>(), .places = places_.As<RowPlace>()};
}

template <typename T>
GatherKeys<T> DecodeTables::Gather() const {
  return {.pieces = gathered_->As<GatheredPiece>()};
}

bool DecodeAttention::Fits(const PagedKvShape& shape, int64_t heads, at::ScalarType dtype) {
  return (shape.head_dim == 64 || shape.head_dim == 128) &&
         heads <= shape.kv_heads * kDecodeQueries &&
         (dtype == at::kFloat || dtype == at::kBFloat16);
}

DecodeAttention::DecodeAttention(PagedKvCache& cache, DecodeTables tables,
                                 const DecodeKernels& kernels, PromptRoom room, at::Tensor cosine,
                                 at::Tensor sine)
    : cache_(cache),
      tables_(std::move(tables)),
      kernels_(kernels),
      room_(std::move(room)),
      cosine_(std::move(cosine)),
      sine_(std::move(sine)) {}

at::Tensor DecodeAttention::Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                    const at::Tensor& v) {
  if (!part_out_.defined()) {
    const at::TensorOptions options = q.options().dtype(at::kFloat);
    part_out_ = at::empty({tables_.size().parts, q.size(1), q.size(2)}, options);
    part_largest_ = at::empty({tables_.size().parts, q.size(1)}, options);
    part_sum_ = at::empty_like(part_largest_);
    if (tables_.size().step_pieces > 0) {
      step_pieces_ = at::empty({q.size(1), tables_.size().step_pieces, 2}, options);
    }
  }
  const at::Tensor queries = Rotates() ? WithDenseRows(q) : q.contiguous();
  return cache_.dtype() == at::kFloat
             ? Run<float>(layer, queries, WithDenseRows(k), WithDenseRows(v))
             : Run<cuda::BFloat16>(layer, queries, WithDenseRows(k), WithDenseRows(v));
}

template <typename T>
at::Tensor DecodeAttention::Run(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                const at::Tensor& v) {
  const c10::DeviceGuard here(q.device());
  const PagedKvShape& shape = cache_.shape();
  const auto numbers = [](const at::Tensor& x) {
    return static_cast<const T*>(x.const_data_ptr());
  };
  const auto blocks = cache_.MutableBlocks<T>(layer);
  AppendRows<T> append = tables_.Append<T>();
  append.k = numbers(k);
  append.v = numbers(v);
  append.k_stride = k.stride(0);
  append.v_stride = v.stride(0);
  append.heads = static_cast<int32_t>(q.size(1));
  append.kv_heads = static_cast<int32_t>(shape.kv_heads);
  append.head_dim = static_cast<int32_t>(shape.head_dim);
  append.keys = blocks.keys;
  append.values = blocks.values;
  const at::Tensor turned = Rotates() ? at::empty(q.sizes(), q.options()) : q;
  if (Rotates()) {
    append.q = numbers(q);
    append.q_stride = q.stride(0);
    append.cosine = cosine_.const_data_ptr<float>();
    append.sine = sine_.const_data_ptr<float>();
    append.turned = static_cast<T*>(turned.mutable_data_ptr());
  }
  Check(kernels_.Append(append, tables_.size().rows));

  PagedDecode<T> pass = tables_.Decode<T>();
  pass.keys = blocks.keys;
  pass.values = blocks.values;
  pass.q = numbers(turned);
  pass.heads = static_cast<int32_t>(q.size(1));
  pass.kv_heads = static_cast<int32_t>(shape.kv_heads);
  pass.scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim));
  pass.layer = static_cast<int32_t>(layer);
  pass.part_out = part_out_.mutable_data_ptr<float>();
  pass.part_largest = part_largest_.mutable_data_ptr<float>();
  pass.part_sum = part_sum_.mutable_data_ptr<float>();
  if (step_pieces_.defined()) {
    static_assert(sizeof(StepPiece) == 2 * sizeof(float));
    pass.step_pieces = static_cast<StepPiece*>(step_pieces_.mutable_data_ptr());
    pass.step_pieces_a_head = tables_.size().step_pieces;
  }
  at::Tensor out = tables_.prompts().has_value()
                       ? AttendToPrompts<T>(*tables_.prompts(), layer, turned)
                       : at::empty(q.sizes(), q.options());
  if (tables_.decoded_rows() == 0) return out;
  pass.out = static_cast<T*>(out.mutable_data_ptr());
  Check(kernels_.Attend(pass, tables_.size().units, tables_.decoded_rows(), shape.head_dim));
  return out;
}

// The results of prompts; other rows are there without.
template <typename T>
at::Tensor DecodeAttention::AttendToPrompts(const DecodeTables::Prompts& prompts, int64_t layer,
                                            const at::Tensor& q) {
  const auto blocks = cache_.Blocks<T>(layer);
  GatherKeys<T> pass = tables_.Gather<T>();
  pass.keys = blocks.keys;
  pass.values = blocks.values;
  pass.kv_heads = static_cast<int32_t>(cache_.shape().kv_heads);
  pass.head_dim = static_cast<int32_t>(cache_.shape().head_dim);
  pass.gathered_k = static_cast<T*>(room_.keys.mutable_data_ptr());
  pass.gathered_v = static_cast<T*>(room_.values.mutable_data_ptr());
  Check(kernels_.Gather(pass, prompts.pieces));
  return RunFlash(prompts.sequences, q, room_.keys.narrow(0, 0, prompts.keys),
                  room_.values.narrow(0, 0, prompts.keys));
}

}  // namespace attnrl::attention
