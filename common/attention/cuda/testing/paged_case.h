// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "common/attention/cuda/decode_plan.h"
#include "common/attention/cuda/paged_decode.h"
#include "common/attention/paged/testing/block_tree.h"
#include "common/base/philox.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

// For tests and measurements only: passes over a paged cache of random keys and values.

struct PagedShape {
  int64_t heads = 4;
  int64_t kv_heads = 2;
  int64_t head_dim = 64;
  int64_t repeats() const { return heads / kv_heads; }
};

// A sequence of a case: the first `shared` tokens of sequence `parent`, then tokens of its own; the
// last `rows` tokens are the rows of the pass.
struct PagedSequence {
  int64_t parent = 0;
  int64_t shared = 0;  // 0: has no parent
  int64_t tokens = 1;
  int64_t rows = 1;
};

// T is float or cuda::BFloat16. Places of the cache where no token lies hold NaN.
template <typename T>
struct PagedCase {
  PagedShape shape;
  BlockTree tree;
  AttentionPlan plan;
  DecodePlan decode;
  std::vector<T> keys, values, q;
  float scale = 0.2F;

  PagedCase(const PagedShape& of, const std::vector<PagedSequence>& sequences) : shape(of) {
    for (size_t i = 0; i < sequences.size(); ++i) {
      const size_t index =
          sequences[i].shared == 0
              ? tree.Add()
              : tree.Fork(static_cast<size_t>(sequences[i].parent), sequences[i].shared);
      tree.Extend(index, sequences[i].tokens - tree.tokens(index));
    }
    std::vector<RowGroup> groups;
    for (size_t i = 0; i < sequences.size(); ++i) {
      groups.push_back(tree.Rows(i, sequences[i].tokens - sequences[i].rows, sequences[i].rows));
    }
    plan.Build(groups);
    decode.Build(plan, shape.repeats());
    Fill();
  }

  int64_t KeyAt(int64_t block, int64_t token, int64_t kv_head, int64_t d) const {
    return ((block * shape.kv_heads + kv_head) * shape.head_dim + d) * kBlockTokens + token;
  }
  int64_t ValueAt(int64_t block, int64_t token, int64_t kv_head, int64_t d) const {
    return ((block * shape.kv_heads + kv_head) * kBlockTokens + token) * shape.head_dim + d;
  }
  // The place in the cache of each token that a row of the group sees.
  std::vector<RowPlace> TokensOf(const AttentionPlan::Group& group) const {
    std::vector<RowPlace> tokens;
    for (int32_t p = group.first_piece; p < group.first_piece + group.pieces; ++p) {
      const BlockPiece& piece = plan.pieces()[static_cast<size_t>(p)];
      for (int32_t i = piece.from; i < piece.to; ++i) tokens.push_back({piece.block, i});
    }
    return tokens;
  }

 private:
  void Fill() {
    // Some numbers again and again: a large cache is full soon.
    RandomStream random({.seed = 11});
    std::vector<float> numbers(65521);
    for (float& x : numbers) x = static_cast<float>(2 * random.Uniform() - 1);
    size_t drawn = 0;
    const auto next = [&](float spread) {
      return cuda::FromFloat<T>(spread * numbers[drawn++ % numbers.size()]);
    };
    // Block numbers are in no order, so that the last one may lie beyond their count by one.
    const auto size =
        static_cast<size_t>((tree.blocks() + 1) * shape.kv_heads * shape.head_dim * kBlockTokens);
    const T nan = cuda::FromFloat<T>(std::numeric_limits<float>::quiet_NaN());
    keys.assign(size, nan);
    values.assign(size, nan);
    for (const AttentionPlan::Group& group : plan.groups()) {
      for (const RowPlace& token : TokensOf(group)) {
        for (int64_t head = 0; head < shape.kv_heads; ++head) {
          for (int64_t d = 0; d < shape.head_dim; ++d) {
            keys[static_cast<size_t>(KeyAt(token.block, token.offset, head, d))] = next(1);
            values[static_cast<size_t>(ValueAt(token.block, token.offset, head, d))] = next(1);
          }
        }
      }
    }
    const int64_t count = plan.rows() * shape.heads * shape.head_dim;
    for (int64_t i = 0; i < count; ++i) q.push_back(next(3));
  }
};

// Attention of every row as the formula reads, in float64.
struct PagedReference {
  std::vector<double> out;             // [rows, heads, head_dim]
  std::vector<double> lse;             // [rows, heads]
  std::vector<std::vector<double>> p;  // [rows * heads][keys that the row sees]
};

template <typename T>
PagedReference AttendInDouble(const PagedCase<T>& of) {
  PagedReference reference;
  const PagedShape& shape = of.shape;
  const auto number = [](const std::vector<T>& from, int64_t at) {
    return static_cast<double>(cuda::ToFloat(from[static_cast<size_t>(at)]));
  };
  for (const AttentionPlan::Group& group : of.plan.groups()) {
    const std::vector<RowPlace> tokens = of.TokensOf(group);
    for (int32_t row = group.first_row; row < group.first_row + group.rows; ++row) {
      const auto seen = static_cast<size_t>(of.plan.visible()[static_cast<size_t>(row)]);
      for (int64_t head = 0; head < shape.heads; ++head) {
        const int64_t kv_head = head / shape.repeats();
        const int64_t from = (row * shape.heads + head) * shape.head_dim;
        std::vector<double> p(seen);
        double most = -HUGE_VAL, sum = 0;
        for (size_t t = 0; t < seen; ++t) {
          for (int64_t d = 0; d < shape.head_dim; ++d) {
            p[t] += number(of.q, from + d) *
                    number(of.keys, of.KeyAt(tokens[t].block, tokens[t].offset, kv_head, d));
          }
          p[t] *= static_cast<double>(of.scale);
          most = std::max(most, p[t]);
        }
        for (double& x : p) sum += x = std::exp(x - most);
        for (double& x : p) x /= sum;
        for (int64_t d = 0; d < shape.head_dim; ++d) {
          double out = 0;
          for (size_t t = 0; t < seen; ++t) {
            out +=
                p[t] * number(of.values, of.ValueAt(tokens[t].block, tokens[t].offset, kv_head, d));
          }
          reference.out.push_back(out);
        }
        reference.lse.push_back(most + std::log(sum));
        reference.p.push_back(std::move(p));
      }
    }
  }
  return reference;
}

}  // namespace attnrl::attention
