// SPDX-License-Identifier: Apache-2.0
#include "common/model/transformer.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "common/attention/parallel.h"
#include "common/base/machine.h"
#include "common/model/rotary.h"

namespace attnrl::model {
namespace {

// Calls run(first, count) for slices of the rows: enough rows for full speed of the products, few
// enough that what lies between them stays in the cache. Whole slices on each thread, since threads
// that wait for each other at every operation stand still whenever one of them has to.
template <typename Run>
void ForSlices(int64_t rows, const at::Device& device, const Run& run) {
  constexpr int64_t kMostRows = 256;
  const int64_t slices = (rows + kMostRows - 1) / kMostRows;
  const int64_t size = (rows + slices - 1) / slices;
  const int64_t threads = device.is_cpu() ? std::min<int64_t>(at::get_num_threads(), slices) : 1;
  std::atomic<int64_t> next = 0;
  ParallelFor(threads, 1, 1, [&](int64_t, int64_t) {
    const c10::InferenceMode inference;  // a mode of the thread
    for (int64_t first = size * next++; first < rows; first = size * next++) {
      run(first, std::min(size, rows - first));
    }
  });
}

const Operators& OperatorsFor(Tensors& weights, const Operators& operators) {
  const at::Tensor& any = Named(weights, "model.embed_tokens.weight");
  const bool gradients = std::any_of(weights.begin(), weights.end(), [](const auto& named) {
    return named.second.requires_grad();
  });
  return operators.For(any.scalar_type(), any.device(), gradients);
}

// Of packed weights, from which on their memory is returned. malloc would keep it for blocks as
// small as these: a second model that nobody uses.
constexpr int64_t kWorthReturning = int64_t{64} << 20;

}  // namespace

Transformer::Transformer(const ModelConfig& config, Tensors weights, const Operators& operators)
    : config_(config),
      weights_(std::move(weights)),
      operators_(operators),
      used_(OperatorsFor(weights_, operators)) {
  // Whatever is laid out anew here must serve every caller, in inference mode or not.
  const c10::InferenceMode ordinary(false);
  embedding_ = Named(weights_, "model.embed_tokens.weight");
  final_norm_ = used_.NormWeight(Named(weights_, "model.norm.weight"));
  at::Tensor tied = embedding_;
  head_ = used_.MakeHead(config.tie_word_embeddings ? &tied : &Named(weights_, "lm_head.weight"));
  rotary_ = RotaryTable(config, embedding_.device());
  int64_t packed = 0;
  for (int64_t i = 0; i < config.layers; ++i) {
    layers_.emplace_back(config, i, used_, weights_);
    packed += layers_.back().packed_bytes();
    if (packed < kWorthReturning) continue;
    ReturnFreedMemory();
    packed = 0;
  }
  std::erase_if(weights_, [](const auto& named) { return !named.second.defined(); });
}

RotaryRows Transformer::RotaryOf(const at::Tensor& positions) const {
  return RotaryAt(*rotary_, positions);
}

at::Tensor Transformer::Embed(const at::Tensor& ids) const { return used_.Embed(embedding_, ids); }

at::Tensor Transformer::RunLayer(int64_t index, at::Tensor x, const RotaryRows& rotary,
                                 attention::Attention& attention, const at::Tensor& wanted) const {
  DecoderLayer::Stream stream = {std::move(x), {}};
  layers_[static_cast<size_t>(index)].Run(&stream, &rotary, attention, wanted);
  return used_.Add(std::move(stream.x), stream.added);
}

at::Tensor Transformer::FinalNorm(const at::Tensor& x) const {
  return used_.RmsNorm(x, final_norm_, config_.rms_norm_eps);
}

at::Tensor Transformer::Hidden(const at::Tensor& ids, const at::Tensor& positions,
                               attention::Attention& attention, const at::Tensor& wanted) const {
  const bool rotates = attention.Rotates();
  const RotaryRows rotary = rotates ? RotaryRows{} : RotaryOf(positions);
  DecoderLayer::Stream stream = {Embed(ids), {}};
  for (const DecoderLayer& layer : layers_) {
    const at::Tensor& rows = &layer == &layers_.back() ? wanted : at::Tensor();
    layer.Run(&stream, rotates ? nullptr : &rotary, attention, rows);
  }
  return used_.AddAndNorm(&stream.x, stream.added, final_norm_, config_.rms_norm_eps);
}

void Transformer::RunAttention(const at::Tensor& ids, const at::Tensor& positions,
                               attention::Attention& attention) const {
  const c10::InferenceMode inference;
  const RotaryRows rotary = RotaryOf(positions);
  const at::Tensor x = Embed(ids);
  const int64_t rows = x.size(0);
  const auto by_head = [&](int64_t heads) {  // as attention reads keys and values
    return at::empty({heads, rows, config_.head_dim}, x.options()).transpose(0, 1);
  };
  for (int64_t i = 0; i < config_.layers; ++i) {
    const DecoderLayer& layer = layers_[static_cast<size_t>(i)];
    DecoderLayer::AttentionInput input = {
        at::empty({rows, config_.heads, config_.head_dim}, x.options()), by_head(config_.kv_heads),
        by_head(config_.kv_heads)};
    ForSlices(rows, x.device(), [&](int64_t first, int64_t count) {
      const auto slice = [&](const at::Tensor& whole) { return whole.narrow(0, first, count); };
      const RotaryRows turns = {slice(rotary.cosine), slice(rotary.sine)};
      DecoderLayer::Stream stream = {slice(x), {}};
      const DecoderLayer::AttentionInput part = layer.BeforeAttention(&stream, &turns);
      slice(input.q).copy_(part.q);
      slice(input.k).copy_(part.k);
      slice(input.v).copy_(part.v);
    });
    const at::Tensor attended = attention.Forward(i, input.q, input.k, input.v);
    if (i + 1 == config_.layers) return;
    input = {};
    ForSlices(rows, x.device(), [&](int64_t first, int64_t count) {
      at::Tensor slice = x.narrow(0, first, count);
      DecoderLayer::Stream stream = {slice, {}};
      layer.AfterAttention(&stream, attended.narrow(0, first, count));
      slice.copy_(used_.Add(std::move(stream.x), stream.added));  // itself where that is in place
    });
  }
}

at::Tensor Transformer::Logits(const at::Tensor& hidden) const {
  return head_->Apply(hidden).front();
}

}  // namespace attnrl::model
