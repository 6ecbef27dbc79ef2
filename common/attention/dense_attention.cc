// SPDX-License-Identifier: Apache-2.0
#include "common/attention/dense_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "common/attention/grouped_heads.h"
#include "common/device/upload.h"

namespace attnrl::attention {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows by index where each row is used at most once in the other direction: so both directions are
// gathers, and no gradient is scattered row by row.
class Rearrange : public torch::autograd::Function<Rearrange> {
 public:
  // `forward`: for each row of the result a row of x. `backward`: for each row of x a row of the
  // result. `unused`: rows of the gradient that are zero, may be empty.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& forward, const at::Tensor& backward,
                            const at::Tensor& unused) {
    context->saved_data["backward"] = backward;
    context->saved_data["unused"] = unused;
    return x.index_select(0, forward);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    at::Tensor gradient = gradients[0].index_select(0, context->saved_data["backward"].toTensor());
    const at::Tensor unused = context->saved_data["unused"].toTensor();
    if (unused.numel() > 0) gradient.index_fill_(0, unused, 0);
    return {gradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

// Rows by index, some of them shown several times: the gradient of a row is a gather of its first
// showing, to which the others are added.
class Show : public torch::autograd::Function<Show> {
 public:
  // `gather`: for each row of the result a row of x. `first`: for each row of x a row of the
  // result. `repeats`: rows of the result that show a row once more, may be empty.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& gather,
                            const at::Tensor& first, const at::Tensor& repeats) {
    context->saved_data["gather"] = gather;
    context->saved_data["first"] = first;
    context->saved_data["repeats"] = repeats;
    return x.index_select(0, gather);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor& shown = gradients[0];
    const at::Tensor repeats = context->saved_data["repeats"].toTensor();
    at::Tensor gradient = shown.index_select(0, context->saved_data["first"].toTensor());
    if (repeats.numel() > 0) {
      const at::Tensor rows = context->saved_data["gather"].toTensor().index_select(0, repeats);
      gradient.index_add_(0, rows, shown.index_select(0, repeats));
    }
    return {gradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor ToTensor(const std::vector<int64_t>& values) {
  return at::tensor(values, at::TensorOptions(at::kLong));
}

// Of a layout.
int64_t RowsOf(const std::vector<int64_t>& row_of) {
  return row_of.empty() ? 0 : *std::max_element(row_of.begin(), row_of.end()) + 1;
}

std::vector<int64_t> EveryRow(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> rows(static_cast<size_t>(std::reduce(lengths.begin(), lengths.end())));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

int64_t WorkOf(const DenseSequence& sequence) { return sequence.queries() * sequence.length; }

// Sequences that are padded to one shape.
struct Padded {
  std::vector<DenseSequence> sequences;
  int64_t queries = 0;  // of the largest
  int64_t keys = 0;

  int64_t count() const { return static_cast<int64_t>(sequences.size()); }
  bool masked() const { return sequences.front().shared != 0; }
};

// Similar shapes together, first those that share nothing, which need no mask: padding to the
// largest of a group may add a quarter to its work.
std::vector<Padded> GroupsOf(std::vector<DenseSequence> sequences) {
  std::stable_sort(
      sequences.begin(), sequences.end(), [](const DenseSequence& a, const DenseSequence& b) {
        if ((a.shared == 0) != (b.shared == 0)) return a.shared == 0;
        return a.queries() != b.queries() ? a.queries() > b.queries() : a.length > b.length;
      });
  std::vector<Padded> groups;
  int64_t work = 0;  // of the last group, unpadded
  for (const DenseSequence& sequence : sequences) {
    work += WorkOf(sequence);
    if (!groups.empty()) {
      const Padded& last = groups.back();
      const int64_t padded = (last.count() + 1) * std::max(last.queries, sequence.queries()) *
                             std::max(last.keys, sequence.length);
      if (4 * padded > 5 * work || (sequence.shared != 0) != last.masked()) {
        groups.emplace_back();
        work = WorkOf(sequence);
      }
    } else {
      groups.emplace_back();
    }
    Padded& group = groups.back();
    group.sequences.push_back(sequence);
    group.queries = std::max(group.queries, sequence.queries());
    group.keys = std::max(group.keys, sequence.length);
  }
  return groups;
}

// Keys from one row of a mask to the next: ATen's kernels for GPUs copy any other mask in each
// call.
int64_t MaskStride(int64_t keys) {
  constexpr int64_t kAligned = 8;
  return (keys + kAligned - 1) / kAligned * kAligned;
}

constexpr int64_t kNone = -1;

// The indices of DenseAttention in the making.
struct Layout {
  std::vector<int64_t> query_gather, query_of, unused, key_gather, first_key, repeats;

  explicit Layout(int64_t rows)
      : query_of(static_cast<size_t>(rows), kNone), first_key(static_cast<size_t>(rows), kNone) {}

  // The rows of `sequence` that ask, padded to `queries`. `rows`: of its tokens.
  void AddQueries(const DenseSequence& sequence, const int64_t* rows, int64_t queries) {
    for (int64_t i = 0; i < queries; ++i) {
      const int64_t row = rows[sequence.shared + std::min(i, sequence.queries() - 1)];
      const auto padded = static_cast<int64_t>(query_gather.size());
      query_gather.push_back(row);
      // Padding asks as the last row does again; its result goes nowhere and its gradient is 0.
      (i < sequence.queries() ? query_of[static_cast<size_t>(row)] : unused.emplace_back()) =
          padded;
    }
  }

  // All rows of `sequence`, padded to `keys`.
  void AddKeys(const DenseSequence& sequence, const int64_t* rows, int64_t keys) {
    for (int64_t i = 0; i < keys; ++i) {
      const int64_t row = rows[std::min(i, sequence.length - 1)];
      const auto padded = static_cast<int64_t>(key_gather.size());
      key_gather.push_back(row);
      if (i >= sequence.length) continue;  // nobody sees it
      int64_t& first = first_key[static_cast<size_t>(row)];
      (first == kNone ? first : repeats.emplace_back()) = padded;
    }
  }
};

}  // namespace

std::vector<DenseSequence> DenseSequences(const std::vector<int64_t>& lengths,
                                          const std::vector<int64_t>& row_of) {
  std::vector<bool> asks(static_cast<size_t>(RowsOf(row_of)), false);
  std::vector<DenseSequence> sequences;
  int64_t first = 0;
  for (const int64_t length : lengths) {
    const int64_t* const rows = row_of.data() + first;
    const auto unseen = [&](int64_t row) { return !asks[static_cast<size_t>(row)]; };
    const int64_t shared = std::find_if(rows, rows + length, unseen) - rows;
    for (int64_t i = shared; i < length; ++i) asks[static_cast<size_t>(rows[i])] = true;
    if (shared < length) sequences.push_back({length, shared, first});
    first += length;
  }
  return sequences;
}

DenseMemory DenseMemoryOf(std::vector<DenseSequence> sequences, const DenseHeads& heads) {
  constexpr int64_t kIndex = sizeof(int64_t), kFloat = sizeof(float);
  DenseMemory memory;
  for (const Padded& group : GroupsOf(std::move(sequences))) {
    const int64_t queries = group.count() * group.queries, keys = group.count() * group.keys;
    // Each padded row has its place in both directions.
    memory.layout += 2 * kIndex * (queries + keys);
    if (group.masked()) memory.layout += heads.element * queries * MaskStride(group.keys);
    // Queries and results, and keys and values for each query head; a log-sum-exp.
    memory.call += 2 * heads.element * heads.dim * heads.query * (queries + keys) +
                   kFloat * heads.query * queries;
  }
  return memory;
}

DenseAttention::DenseAttention(const std::vector<int64_t>& lengths)
    : DenseAttention(lengths, EveryRow(lengths)) {}

DenseAttention::DenseAttention(const std::vector<int64_t>& lengths,
                               const std::vector<int64_t>& row_of) {
  Layout layout(RowsOf(row_of));
  for (const Padded& padded : GroupsOf(DenseSequences(lengths, row_of))) {
    Group& group = groups_.emplace_back();
    group.sequences = padded.count();
    group.queries = padded.queries;
    group.keys = padded.keys;
    group.masked = padded.masked();
    std::vector<int64_t> shared;
    for (const DenseSequence& sequence : padded.sequences) {
      shared.push_back(sequence.shared);
      layout.AddQueries(sequence, &row_of[static_cast<size_t>(sequence.first)], group.queries);
      layout.AddKeys(sequence, &row_of[static_cast<size_t>(sequence.first)], group.keys);
    }
    group.shared = ToTensor(shared);
  }
  query_gather_ = ToTensor(layout.query_gather);
  query_of_ = ToTensor(layout.query_of);
  unused_ = ToTensor(layout.unused);
  key_gather_ = ToTensor(layout.key_gather);
  first_key_ = ToTensor(layout.first_key);
  repeats_ = ToTensor(layout.repeats);
}

void DenseAttention::MoveTo(const at::Tensor& q) {
  if (query_gather_.device() != q.device()) {
    std::vector<at::Tensor*> indices = {&query_gather_, &query_of_,  &unused_,
                                        &key_gather_,   &first_key_, &repeats_};
    for (Group& group : groups_) indices.push_back(&group.shared);
    device::Upload upload;
    std::vector<device::Upload::Part> parts;
    for (const at::Tensor* index : indices) {
      const at::Tensor host = index->cpu();
      parts.push_back(upload.Add(host.numel()));
      std::copy_n(host.const_data_ptr<int64_t>(), host.numel(), upload.At(parts.back()));
    }
    upload.Send(q.device());
    for (size_t i = 0; i < indices.size(); ++i) *indices[i] = upload.Integers(parts[i]);
  }
  for (Group& group : groups_) {
    if (!group.masked) continue;
    if (group.mask.defined() && group.mask.options().type_equal(q.options())) continue;
    const at::TensorOptions options(at::device(q.device()).dtype(at::kLong));
    // Query i is row shared + i of its sequence and sees the keys up to itself. Without shared rows
    // that is plain causal attention, for which ATen needs no mask.
    const at::Tensor last =
        group.shared.view({-1, 1, 1, 1}) + at::arange(group.queries, options).view({1, 1, -1, 1});
    const at::Tensor hidden = at::arange(group.keys, options).view({1, 1, 1, -1}).gt(last);
    group.mask = at::zeros({group.sequences, 1, group.queries, MaskStride(group.keys)}, q.options())
                     .narrow(-1, 0, group.keys)
                     .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
  }
}

at::Tensor DenseAttention::Forward(int64_t /*layer*/, const at::Tensor& q, const at::Tensor& k,
                                   const at::Tensor& v) {
  MoveTo(q);
  const int64_t repeats = q.size(1) / k.size(1);
  std::vector<int64_t> query_sizes, key_sizes;
  for (const Group& group : groups_) {
    query_sizes.push_back(group.sequences * group.queries);
    key_sizes.push_back(group.sequences * group.keys);
  }
  // Each row asks once, so the gradient of q is a plain gather; keys and values are shown to
  // several sequences, so theirs is a sum.
  const at::Tensor none = at::empty({0}, unused_.options());
  const std::vector<at::Tensor> queries =
      Rearrange::apply(q, query_gather_, query_of_, none).split_with_sizes(query_sizes);
  const auto show = [&](const at::Tensor& x) {
    return Show::apply(x, key_gather_, first_key_, repeats_).split_with_sizes(key_sizes);
  };
  const std::vector<at::Tensor> keys = show(k);
  const std::vector<at::Tensor> values = show(v);
  std::vector<at::Tensor> results;
  for (size_t i = 0; i < groups_.size(); ++i) {
    const Group& group = groups_[i];
    // [group rows, heads, head_dim] -> [sequences, heads, length, head_dim]
    const auto batch = [&](const at::Tensor& x, int64_t length) {
      return x.unflatten(0, {group.sequences, length}).transpose(1, 2);
    };
    // Padding comes after every row that counts: no query that counts sees it.
    const std::optional<at::Tensor> mask =
        group.mask.defined() ? std::optional<at::Tensor>(group.mask) : std::nullopt;
    const at::Tensor result = at::scaled_dot_product_attention(
        batch(queries[i], group.queries), RepeatHeads(batch(keys[i], group.keys), repeats),
        RepeatHeads(batch(values[i], group.keys), repeats), mask, 0.0,
        /*is_causal=*/!mask.has_value());
    results.push_back(result.transpose(1, 2).flatten(0, 1));
  }
  return Rearrange::apply(at::cat(results), query_of_, query_gather_, unused_);
}

}  // namespace attnrl::attention
