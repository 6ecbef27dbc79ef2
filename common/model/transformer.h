// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "common/attention/attention.h"
#include "common/model/decoder_layer.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/model/operators.h"

namespace attnrl::model {

// The one forward pass of the project: Qwen2, Llama and Qwen3 decoders over an attention that the
// caller picks. Training, scoring, decoding and the deterministic mode differ in `attention` and
// `operators` alone.
//
//   Transformer transformer(config, weights);
//   attention::DenseAttention attention({length});
//   at::Tensor hidden = transformer.Hidden(ids, positions, attention);
//   at::Tensor logits = transformer.Logits(hidden.index_select(0, rows_of_interest));
//
// Computes on the device and in the dtype of the weights; activations of bfloat16 weights without
// gradients on the CPU are float32. Gradients flow into weights that require
// them; callers that want none hold an at::NoGradGuard or InferenceMode. Immutable: any thread may
// call, each with its own attention. What LibTorch throws passes through.
class Transformer {
 public:
  // `weights` as of LoadTensors: complete for `config`, one dtype, one device. `operators` must
  // outlive it. Without gradients it lays the projections out anew: weights() are views of that, or
  // on the CPU, where matrices are packed, lacks them.
  Transformer(const ModelConfig& config, Tensors weights,
              const Operators& operators = Operators::Standard());

  // ids, positions int64 [rows] -> the states after the final norm, [rows, hidden]. Positions are
  // below config().max_position_embeddings. `wanted` (int64, each row once; undefined: all): the
  // rows of the result; what the last layer does behind its attention is done for these alone.
  at::Tensor Hidden(const at::Tensor& ids, const at::Tensor& positions,
                    attention::Attention& attention, const at::Tensor& wanted = {}) const;

  // The parts of Hidden, for a caller that walks the layers itself: x = Embed(ids); for every index
  // below config().layers x = RunLayer(index, x, rotary, attention); FinalNorm(x). `wanted` is for
  // the last layer, as of Hidden.
  at::Tensor Embed(const at::Tensor& ids) const;
  RotaryRows RotaryOf(const at::Tensor& positions) const;
  at::Tensor RunLayer(int64_t index, at::Tensor x, const RotaryRows& rotary,
                      attention::Attention& attention, const at::Tensor& wanted = {}) const;
  at::Tensor FinalNorm(const at::Tensor& x) const;

  // Runs the layers only as far as `attention` sees something: up to the last layer's queries, keys
  // and values, whose attention may return an undefined tensor. Arguments as of Hidden; in
  // inference mode. For long sequences in little memory: everything but attention goes in slices of
  // some hundred rows, on the CPU each on one of at::get_num_threads() threads.
  void RunAttention(const at::Tensor& ids, const at::Tensor& positions,
                    attention::Attention& attention) const;

  // hidden [n, hidden] -> float32 [n, vocab], never rounded to bfloat16.
  at::Tensor Logits(const at::Tensor& hidden) const;

  // The rotary embedding of every position, row p that of position p, on the model's device.
  const RotaryRows& rotary() const { return *rotary_; }
  const ModelConfig& config() const { return config_; }
  at::ScalarType weights_dtype() const { return embedding_.scalar_type(); }
  const Tensors& weights() const { return weights_; }
  const Operators& operators() const { return operators_; }

 private:
  ModelConfig config_;
  Tensors weights_;
  const Operators& operators_;
  const Operators& used_;  // operators_.For(the weights)
  std::vector<DecoderLayer> layers_;
  at::Tensor embedding_;
  at::Tensor final_norm_;
  std::unique_ptr<const Projection> head_;
  std::shared_ptr<const RotaryRows> rotary_;
};

struct TokenScores {
  at::Tensor logprobs;  // float32 [tokens], nats
  at::Tensor entropy;   // float32 [tokens], nats, over the full vocabulary
};

}  // namespace attnrl::model
