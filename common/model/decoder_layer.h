// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "common/attention/attention.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/model/operators.h"

namespace attnrl::model {

// One layer of a decoder: attention, then the gated MLP, each behind a norm and added to the
// residual stream. Immutable: any thread may call, each with its own attention. What LibTorch
// throws passes through.
class DecoderLayer {
 public:
  // The residual stream between two layers: x + added, whose sum the next norm takes.
  struct Stream {
    at::Tensor x;      // [rows, hidden]
    at::Tensor added;  // the same; undefined: nothing
  };
  // What attention is called with.
  struct AttentionInput {
    at::Tensor q;  // [rows, heads, head_dim]
    at::Tensor k;  // [rows, kv_heads, head_dim]
    at::Tensor v;
  };

  // Of the tensors of layer `index` in `weights` (names as of TensorShapes), of which it leaves
  // what `operators` does: views of a new layout, or undefined ones. `operators`, which outlive it,
  // are those that For has given.
  DecoderLayer(const ModelConfig& config, int64_t index, const Operators& operators,
               Tensors& weights);

  // The whole layer. `rotary` null: attention applies the positions. `wanted` (int64, each row
  // once; undefined: all): the rows that the stream has afterwards.
  void Run(Stream* stream, const RotaryRows* rotary, attention::Attention& attention,
           const at::Tensor& wanted) const;

  // The same in two halves, for a caller that has attention between them: a row of either half
  // needs nothing of other rows.
  AttentionInput BeforeAttention(Stream* stream, const RotaryRows* rotary) const;
  void AfterAttention(Stream* stream, const at::Tensor& attended) const;

  // Of the weights that it has taken into a layout of its own.
  int64_t packed_bytes() const { return packed_bytes_; }

 private:
  const Operators* operators_;
  int64_t index_;
  double eps_;
  int64_t packed_bytes_ = 0;
  at::Tensor input_norm_;
  at::Tensor post_attention_norm_;
  at::Tensor query_norm_;  // undefined without qk_norm
  at::Tensor key_norm_;
  std::unique_ptr<const Projection> query_key_value_;
  std::unique_ptr<const Projection> output_;
  std::unique_ptr<const Projection> gate_up_;
  std::unique_ptr<const Projection> down_;
};

// The tensor of a name; callers check completeness when they load, so a missing one is a bug:
// std::logic_error.
at::Tensor& Named(Tensors& weights, const std::string& name);

}  // namespace attnrl::model
