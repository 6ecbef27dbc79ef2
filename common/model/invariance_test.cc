// SPDX-License-Identifier: Apache-2.0
// The attentions against each other, and what the deterministic mode promises.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "common/attention/dense_attention.h"
#include "common/attention/paged/paged_attention.h"
#include "common/attention/paged/testing/block_tree.h"
#include "common/base/philox.h"
#include "common/model/scoring.h"
#include "common/model/testing/tiny_models.h"
#include "common/model/transformer.h"

namespace attnrl::model {
namespace {

using attention::AttentionPlan;
using attention::BlockTree;
using attention::DenseAttention;
using attention::PagedAttention;
using attention::PagedKvCache;
using attention::RowGroup;
using Ids = std::vector<int64_t>;

// Sequences of the given lengths over SmallConfig's vocabulary.
std::vector<Ids> SomeSequences(const std::vector<size_t>& lengths) {
  RandomStream random({.seed = 5});
  std::vector<Ids> sequences;
  for (const size_t length : lengths) {
    Ids& sequence = sequences.emplace_back();
    while (sequence.size() < length) sequence.push_back(static_cast<int64_t>(random.Below(40)));
  }
  return sequences;
}

struct Piece {
  size_t sequence = 0;
  int64_t past = 0;
  int64_t rows = 0;
};

using Kernels = PagedAttention::Kernels;

// Runs passes of pieces over one cache. Returns the hidden states of each sequence in the order of
// its tokens.
std::vector<at::Tensor> RunPasses(const Transformer& transformer, at::ScalarType cache_type,
                                  const std::vector<Ids>& sequences,
                                  const std::vector<std::vector<Piece>>& passes,
                                  Kernels kernels = Kernels::kBest) {
  const c10::InferenceMode inference;
  const ModelConfig& config = transformer.config();
  PagedKvCache cache({config.layers, 24, config.kv_heads, config.head_dim}, cache_type, at::kCPU);
  BlockTree tree;
  for (size_t s = 0; s < sequences.size(); ++s) tree.Add();
  AttentionPlan plan;
  std::vector<std::vector<at::Tensor>> parts(sequences.size());
  for (const std::vector<Piece>& pass : passes) {
    std::vector<RowGroup> groups;
    Ids ids, positions;
    for (const Piece& piece : pass) {
      tree.Extend(piece.sequence, piece.rows);
      groups.push_back(tree.Rows(piece.sequence, piece.past, piece.rows));
      for (int64_t p = piece.past; p < piece.past + piece.rows; ++p) {
        ids.push_back(sequences[piece.sequence][static_cast<size_t>(p)]);
        positions.push_back(p);
      }
    }
    plan.Build(groups);
    PagedAttention attention(cache, plan, kernels);
    const at::Tensor hidden = transformer.Hidden(at::tensor(ids), at::tensor(positions), attention);
    int64_t first = 0;
    for (const Piece& piece : pass) {
      parts[piece.sequence].push_back(hidden.narrow(0, first, piece.rows));
      first += piece.rows;
    }
  }
  std::vector<at::Tensor> results;
  for (const auto& part : parts) results.push_back(part.empty() ? at::Tensor() : at::cat(part));
  return results;
}

// Every sequence alone, token by token.
std::vector<std::vector<Piece>> TokenByToken(const std::vector<Ids>& sequences) {
  std::vector<std::vector<Piece>> passes;
  for (size_t s = 0; s < sequences.size(); ++s) {
    for (size_t p = 0; p < sequences[s].size(); ++p) {
      passes.push_back({{s, static_cast<int64_t>(p), 1}});
    }
  }
  return passes;
}

// Prompts in pieces beside other sequences' decoding, in changing order and company.
const std::vector<std::vector<Piece>> kMixed = {
    {{0, 0, 5}, {2, 0, 17}},
    {{1, 0, 3}, {0, 5, 1}, {2, 17, 1}},
    {{2, 18, 2}, {0, 6, 6}, {1, 3, 1}},
    {{1, 4, 1}, {2, 20, 1}, {3, 0, 1}},
    {{3, 1, 8}, {1, 5, 28}, {0, 12, 1}},
    {{0, 13, 1}, {2, 21, 1}, {3, 9, 1}},
};
std::vector<Ids> MixedSequences() { return SomeSequences({14, 33, 22, 10}); }

at::Tensor DenseHidden(const Transformer& transformer, const std::vector<Ids>& sequences) {
  Ids ids, positions, lengths;
  for (const Ids& sequence : sequences) {
    lengths.push_back(static_cast<int64_t>(sequence.size()));
    for (size_t p = 0; p < sequence.size(); ++p) {
      ids.push_back(sequence[p]);
      positions.push_back(static_cast<int64_t>(p));
    }
  }
  DenseAttention attention(lengths);
  return transformer.Hidden(at::tensor(ids), at::tensor(positions), attention);
}

Transformer Make(const Operators& operators, DType dtype = DType::kFloat32, bool qk_norm = true) {
  ModelConfig config = SmallConfig();
  config.qk_norm = qk_norm;
  return Transformer(config, RandomTensors(config, 1, dtype), operators);
}

void ExpectClose(const at::Tensor& a, const at::Tensor& b, double tolerance) {
  EXPECT_LT((a - b).abs().max().item<double>(), tolerance);
}

TEST(PagedAttention, AgreesWithDenseAttentionInAnyCompany) {
  const Transformer transformer = Make(Operators::Standard());
  const std::vector<Ids> sequences = MixedSequences();
  const at::Tensor dense = DenseHidden(transformer, sequences);
  for (const Kernels kernels : {Kernels::kBest, Kernels::kAten}) {
    const auto mixed = RunPasses(transformer, at::kFloat, sequences, kMixed, kernels);
    ExpectClose(dense, at::cat(mixed), 1e-4);
  }
}

TEST(DenseAttention, ComputesASequenceAlikeAloneAndAmongOthers) {
  const Transformer transformer = Make(Operators::Standard());
  const std::vector<Ids> sequences = SomeSequences({3, 40, 38, 1, 12, 39, 11});
  const at::Tensor together = DenseHidden(transformer, sequences);
  int64_t first = 0;
  for (const Ids& sequence : sequences) {
    const auto rows = static_cast<int64_t>(sequence.size());
    ExpectClose(together.narrow(0, first, rows), DenseHidden(transformer, {sequence}), 1e-4);
    first += rows;
  }
}

TEST(FixedOrder, AgreesWithTheStandardOperators) {
  for (const bool qk_norm : {false, true}) {
    const Transformer standard = Make(Operators::Standard(), DType::kFloat32, qk_norm);
    const Transformer fixed = Make(Operators::FixedOrder(), DType::kFloat32, qk_norm);
    const std::vector<Ids> sequences = MixedSequences();
    const auto result = RunPasses(fixed, at::kFloat, sequences, kMixed);
    ExpectClose(at::cat(result), DenseHidden(standard, sequences), 1e-4);
  }
}

class FixedOrderBits : public testing::TestWithParam<std::tuple<DType, at::ScalarType>> {};

TEST_P(FixedOrderBits, DependOnTheSequenceAlone) {
  const auto [dtype, cache_type] = GetParam();
  const Transformer transformer = Make(Operators::FixedOrder(), dtype);
  const std::vector<Ids> sequences = MixedSequences();
  const auto alone = RunPasses(transformer, cache_type, sequences, TokenByToken(sequences));
  at::set_num_threads(2);
  const auto mixed = RunPasses(transformer, cache_type, sequences, kMixed);
  at::set_num_threads(1);
  for (size_t s = 0; s < sequences.size(); ++s) {
    EXPECT_TRUE(at::equal(alone[s], mixed[s])) << s;
    EXPECT_TRUE(at::equal(transformer.Logits(alone[s]), transformer.Logits(mixed[s]))) << s;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, FixedOrderBits,
                         testing::Values(std::tuple(DType::kFloat32, at::kFloat),
                                         std::tuple(DType::kFloat32, at::kBFloat16),
                                         std::tuple(DType::kBFloat16, at::kFloat)));

TEST(FixedOrder, ScoresHaveTheBitsOfAnyBatch) {
  const Transformer transformer = Make(Operators::FixedOrder());
  std::vector<ScoreRequest> requests;
  for (const Ids& sequence : MixedSequences()) {
    requests.push_back(
        {{sequence.begin(), sequence.begin() + 4}, {sequence.begin() + 4, sequence.end()}});
  }
  const auto together = ScoreSequences(transformer, requests, 1000);
  const auto apart = ScoreSequences(transformer, requests, 1);
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(together[i].logprobs, apart[i].logprobs);
  }
}

TEST(BFloat16, StaysCloseToFloat32) {
  const Transformer wide = Make(Operators::Standard());
  const Transformer narrow = Make(Operators::Standard(), DType::kBFloat16);
  const std::vector<Ids> sequences = MixedSequences();
  const at::Tensor logits = narrow.Logits(DenseHidden(narrow, sequences));
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  ExpectClose(logits, wide.Logits(DenseHidden(wide, sequences)), 0.25);
  const auto cached = RunPasses(narrow, at::kBFloat16, sequences, kMixed);
  ExpectClose(narrow.Logits(at::cat(cached)), logits, 0.25);
}

}  // namespace
}  // namespace attnrl::model
