// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/pass.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/attention/cpu_flash.h"
#include "common/attention/flash_part.h"
#include "common/attention/tree_attention.h"
#include "common/device/upload.h"
#include "common/model/operators.h"

namespace attnrl::learner {
namespace {

// A prompt and its response, read as one row of tokens.
class Tokens {
 public:
  explicit Tokens(const PassSequence& sequence) : sequence_(sequence) {}
  size_t size() const { return sequence_.prompt.size() + sequence_.response.size(); }
  int32_t operator[](size_t i) const {
    const size_t prompt = sequence_.prompt.size();
    return i < prompt ? sequence_.prompt[i] : sequence_.response[i - prompt];
  }

 private:
  const PassSequence& sequence_;
};

// Tokens at which two sequences begin alike and which they share.
size_t Common(const PassSequence& left, const PassSequence& right, Prefixes prefixes) {
  if (prefixes == Prefixes::kEach) return 0;
  const Tokens a(left), b(right);
  const size_t most = std::min(a.size(), b.size());
  size_t common = 0;
  while (common < most && a[common] == b[common]) ++common;
  return common;
}

// In lexicographic order a sequence shares most with the one before it.
bool Before(const PassSequence& left, const PassSequence& right) {
  const Tokens a(left), b(right);
  const size_t common = Common(left, right, Prefixes::kOnce);
  if (common == std::min(a.size(), b.size())) return a.size() < b.size();
  return a[common] < b[common];
}

std::vector<size_t> Order(std::span<const PassSequence> sequences, Prefixes prefixes) {
  std::vector<size_t> order(sequences.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return prefixes == Prefixes::kOnce ? Before(sequences[a], sequences[b])
                                       : sequences[a].rows() > sequences[b].rows();
  });
  return order;
}

// Rows that a sequence needs not, behind `before` (null: the first). The last token of that one has
// no row.
size_t SharedRows(const PassSequence* before, const PassSequence& sequence, Prefixes prefixes) {
  if (before == nullptr) return 0;
  return std::min({Common(*before, sequence, prefixes), before->rows(), sequence.rows()});
}

// Of each row.
struct Rows {
  std::vector<int64_t> ids;
  std::vector<int64_t> positions;
};

// Gives every input token of every sequence its row; fills lengths and row_of.
Rows ShareRows(std::span<const PassSequence> sequences, Prefixes prefixes, Pass* pass) {
  std::vector<size_t> starts;  // of each sequence in row_of
  for (const PassSequence& sequence : sequences) {
    starts.push_back(pass->row_of.size());
    pass->lengths.push_back(static_cast<int64_t>(sequence.rows()));
    pass->row_of.resize(pass->row_of.size() + sequence.rows());
  }
  Rows rows;
  const PassSequence* before = nullptr;
  const int64_t* rows_before = nullptr;
  for (const size_t index : Order(sequences, prefixes)) {
    const PassSequence& sequence = sequences[index];
    const Tokens tokens(sequence);
    const size_t shared = SharedRows(before, sequence, prefixes);
    int64_t* row_of = &pass->row_of[starts[index]];
    for (size_t position = 0; position < sequence.rows(); ++position) {
      if (position < shared) {
        row_of[position] = rows_before[position];
        continue;
      }
      row_of[position] = static_cast<int64_t>(rows.ids.size());
      rows.ids.push_back(tokens[position]);
      rows.positions.push_back(static_cast<int64_t>(position));
      pass->attended += static_cast<int64_t>(position) + 1;
    }
    before = &sequence;
    rows_before = row_of;
  }
  return rows;
}

// A sequence of a plan, in the order of rows.
struct Planned {
  size_t index;
  size_t rows;  // of it alone
  size_t more;  // behind the sequence before it
};

// As many as fit into each pass, one after the other; a longer one is alone.
std::vector<std::vector<size_t>> Fill(const std::vector<Planned>& planned, size_t max_rows) {
  std::vector<std::vector<size_t>> passes;
  size_t used = 0;
  for (const Planned& sequence : planned) {
    if (passes.empty() || used + sequence.more > max_rows) {
      passes.emplace_back();
      used = sequence.rows;
    } else {
      used += sequence.more;
    }
    passes.back().push_back(sequence.index);
  }
  return passes;
}

// Tokens in the order of the `rows` rows that predict them, and where those of each row begin.
struct ByRow {
  std::vector<int64_t> tokens;
  std::vector<int64_t> first;
};

ByRow OrderByRow(const std::vector<int64_t>& row_of_token, size_t rows) {
  ByRow by_row = {std::vector<int64_t>(row_of_token.size()), std::vector<int64_t>(rows + 1)};
  for (const int64_t row : row_of_token) ++by_row.first[static_cast<size_t>(row) + 1];
  std::partial_sum(by_row.first.begin(), by_row.first.end(), by_row.first.begin());
  std::vector<int64_t> next = by_row.first;
  for (size_t token = 0; token < row_of_token.size(); ++token) {
    const int64_t place = next[static_cast<size_t>(row_of_token[token])]++;
    by_row.tokens[static_cast<size_t>(place)] = static_cast<int64_t>(token);
  }
  return by_row;
}

attention::DenseHeads HeadsOf(const model::ModelConfig& config, at::ScalarType dtype) {
  return {.query = config.heads,
          .kv = config.kv_heads,
          .dim = config.head_dim,
          .element = static_cast<int64_t>(c10::elementSize(dtype))};
}

// By whichever kernels are fastest for heads of this model and type, within kMostDenseBytes.
std::unique_ptr<attention::Attention> ExactAttention(const Pass& pass, at::ScalarType dtype,
                                                     const model::ModelConfig& config) {
  // Own kernels of the CPU meet segments of any length as fast as they can be. Elsewhere, measured
  // with LibTorch's on two threads of a CPU, TreeAttention takes 1.2 to 2 times as long as the
  // padding and masks of DenseAttention with segments of 16 to 128 rows on average, and is faster
  // with 512 and more. Between them it is at most 1.2 times slower and needs less memory.
  constexpr size_t kLongSegment = 256;
  const bool own = attention::HasForestFlash(pass.ids.device(), dtype, config.head_dim);
  if (own || attention::HasFlash(pass.ids.device(), dtype, config.head_dim)) {
    std::vector<attention::TreeSegment> segments =
        attention::TreeSegments(pass.lengths, pass.row_of);
    const auto much = [&] {
      return attention::DenseMemoryOf(attention::DenseSequences(pass.lengths, pass.row_of),
                                      HeadsOf(config, dtype))
                 .Total(/*layers=*/1) > kMostDenseBytes;
    };
    if (own || static_cast<size_t>(pass.ids.numel()) >= kLongSegment * segments.size() || much()) {
      return std::make_unique<attention::TreeAttention>(std::move(segments));
    }
  }
  return std::make_unique<attention::DenseAttention>(pass.lengths, pass.row_of);
}

// Rounds; the gradient of the result is that of what wasn't rounded.
class Round : public torch::autograd::Function<Round> {
 public:
  using List = torch::autograd::variable_list;

  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x,
                            at::ScalarType dtype) {
    return x.to(dtype).to(x.scalar_type());
  }
  static List backward(torch::autograd::AutogradContext*, const List& gradients) {
    return {gradients[0], at::Tensor()};
  }
};

// Attention over keys and values as the engine's cache has them.
class CachedAttention final : public attention::Attention {
 public:
  CachedAttention(std::unique_ptr<attention::Attention> exact, at::ScalarType dtype)
      : exact_(std::move(exact)), dtype_(dtype) {}

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override {
    if (k.scalar_type() == dtype_) return exact_->Forward(layer, q, k, v);
    return exact_->Forward(layer, q, Round::apply(k, dtype_), Round::apply(v, dtype_));
  }

 private:
  std::unique_ptr<attention::Attention> exact_;
  at::ScalarType dtype_;
};

}  // namespace

Pass MakePass(std::span<const PassSequence> sequences, Prefixes prefixes,
              const at::Device& device) {
  Pass pass;
  const Rows rows = ShareRows(sequences, prefixes, &pass);
  constexpr int64_t kNone = -1;
  std::vector<int64_t> scored, scored_by, targets;
  absl::flat_hash_set<std::pair<int64_t, int64_t>> distinct;  // scored rows and what they predict
  std::vector<int64_t> place(rows.ids.size(), kNone);         // of a row among the scored ones
  const int64_t* row_of = pass.row_of.data();                 // of the sequence's tokens
  for (const PassSequence& sequence : sequences) {
    for (size_t t = sequence.prompt.size() - 1; t < sequence.rows(); ++t) {
      // Scored once for all leaves that share it: logits are the largest tensor of a pass.
      int64_t& at = place[static_cast<size_t>(row_of[t])];
      if (at == kNone) {
        at = static_cast<int64_t>(scored.size());
        scored.push_back(row_of[t]);
      }
      scored_by.push_back(at);
      targets.push_back(sequence.response[t + 1 - sequence.prompt.size()]);
      distinct.insert({at, targets.back()});
    }
    row_of += sequence.rows();
  }
  pass.distinct_tokens = static_cast<int64_t>(distinct.size());
  ByRow by_row = OrderByRow(scored_by, scored.size());
  device::Upload upload;
  const auto add = [&upload](const std::vector<int64_t>& values) {
    const device::Upload::Part part = upload.Add(static_cast<int64_t>(values.size()));
    std::copy(values.begin(), values.end(), upload.At(part));
    return part;
  };
  const auto ids = add(rows.ids), positions = add(rows.positions), scored_part = add(scored),
             scored_by_part = add(scored_by), targets_part = add(targets),
             by_row_part = add(by_row.tokens);
  upload.Send(device);
  pass.ids = upload.Integers(ids);
  pass.positions = upload.Integers(positions);
  pass.scored = upload.Integers(scored_part);
  pass.scored_by = upload.Integers(scored_by_part);
  pass.targets = upload.Integers(targets_part);
  pass.by_row = upload.Integers(by_row_part);
  pass.first_by_row = std::move(by_row.first);
  return pass;
}

int64_t CountRows(std::span<const PassSequence> sequences, Prefixes prefixes) {
  size_t rows = 0;
  const PassSequence* before = nullptr;
  for (const size_t index : Order(sequences, prefixes)) {
    rows += sequences[index].rows() - SharedRows(before, sequences[index], prefixes);
    before = &sequences[index];
  }
  return static_cast<int64_t>(rows);
}

std::unique_ptr<attention::Attention> MakeAttention(const Pass& pass,
                                                    const model::ModelConfig& config,
                                                    at::ScalarType weights) {
  const at::ScalarType dtype = model::TrainedActivations(weights, pass.ids.device());
  std::unique_ptr<attention::Attention> exact = ExactAttention(pass, dtype, config);
  // Frozen weights have float32 activations on any CPU (common/model/cpu_operators.h).
  if (weights != at::kBFloat16 || !pass.ids.is_cpu()) return exact;
  return std::make_unique<CachedAttention>(std::move(exact), weights);
}

int64_t AttentionBytes(const model::ModelConfig& config, const at::Device& device,
                       at::ScalarType dtype, std::vector<attention::DenseSequence> sequences,
                       int64_t layers) {
  if (attention::HasForestFlash(device, dtype, config.head_dim)) return 0;
  attention::DenseMemory memory =
      attention::DenseMemoryOf(std::move(sequences), HeadsOf(config, dtype));
  if (attention::HasFlash(device, dtype, config.head_dim)) {
    memory.layout = std::min(memory.layout, kMostDenseBytes);
    memory.call = std::min(memory.call, kMostDenseBytes / 2);
  }
  return memory.Total(layers);
}

std::vector<std::vector<size_t>> PlanPasses(std::span<const PassSequence> sequences,
                                            Prefixes prefixes, int64_t max_rows) {
  std::vector<Planned> planned;
  for (const size_t index : Order(sequences, prefixes)) {
    const PassSequence& sequence = sequences[index];
    // What it shares with the sequence before costs no rows, but only within the same pass.
    const PassSequence* const before = planned.empty() ? nullptr : &sequences[planned.back().index];
    const size_t shared = SharedRows(before, sequence, prefixes);
    planned.push_back({index, sequence.rows(), sequence.rows() - shared});
  }
  std::vector<std::vector<size_t>> passes = Fill(planned, static_cast<size_t>(max_rows));
  // The smallest budget with which there are no more of them makes the longest as short as can be.
  size_t low = 0;
  auto high = static_cast<size_t>(max_rows);
  while (passes.size() > 1 && low + 1 < high) {
    const size_t middle = low + (high - low) / 2;
    std::vector<std::vector<size_t>> even = Fill(planned, middle);
    if (even.size() > passes.size()) {
      low = middle;
    } else {
      high = middle;
      passes = std::move(even);
    }
  }
  return passes;
}

}  // namespace attnrl::learner
