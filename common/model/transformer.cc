// SPDX-License-Identifier: Apache-2.0
#include "common/model/transformer.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/attention/parallel.h"
#include "common/base/machine.h"
#include "common/model/cpu/taken_rows.h"
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

// The tensor of a name; callers check completeness when they load, so a missing one is a bug.
at::Tensor& Named(Tensors& weights, const std::string& name) {
  const auto found = weights.find(name);
  if (found == weights.end()) throw std::logic_error("no tensor " + name);
  return found->second;
}

const Operators& OperatorsFor(Tensors& weights, const Operators& operators) {
  const at::Tensor& any = Named(weights, "model.embed_tokens.weight");
  const bool gradients = std::any_of(weights.begin(), weights.end(), [](const auto& named) {
    return named.second.requires_grad();
  });
  return operators.For(any.scalar_type(), any.device(), gradients);
}

LinearTensors Linear(Tensors& weights, const std::string& name, bool bias, int64_t head_dim = 0) {
  return {.weight = &Named(weights, name + ".weight"),
          .bias = bias ? &Named(weights, name + ".bias") : nullptr,
          .head_dim = head_dim};
}

// Makes projections, and returns the memory of weights that were packed and dropped. malloc would
// keep it for blocks as small as these: a second model that nobody uses.
class ProjectionMaker {
 public:
  explicit ProjectionMaker(const Operators& operators) : operators_(operators) {}

  std::unique_ptr<const Projection> Make(const std::vector<LinearTensors>& maps) {
    int64_t bytes = 0;
    for (const LinearTensors& map : maps) bytes += static_cast<int64_t>(map.weight->nbytes());
    std::unique_ptr<const Projection> projection = operators_.MakeProjection(maps);
    if (!maps.front().weight->defined()) dropped_ += bytes;
    if (dropped_ >= kWorthReturning) {
      ReturnFreedMemory();
      dropped_ = 0;
    }
    return projection;
  }

 private:
  static constexpr int64_t kWorthReturning = int64_t{64} << 20;

  const Operators& operators_;
  int64_t dropped_ = 0;
};

}  // namespace

struct Transformer::Layer {
  at::Tensor input_norm;
  at::Tensor post_attention_norm;
  at::Tensor query_norm;  // undefined without qk_norm
  at::Tensor key_norm;
  std::unique_ptr<const Projection> query_key_value;
  std::unique_ptr<const Projection> output;
  std::unique_ptr<const Projection> gate_up;
  std::unique_ptr<const Projection> down;
};

Transformer::Transformer(const ModelConfig& config, Tensors weights, const Operators& operators)
    : config_(config),
      weights_(std::move(weights)),
      operators_(operators),
      used_(OperatorsFor(weights_, operators)) {
  // Whatever is laid out anew here must serve every caller, in inference mode or not.
  const c10::InferenceMode ordinary(false);
  embedding_ = Named(weights_, "model.embed_tokens.weight");
  const auto norm = [&](const std::string& name) {
    return used_.NormWeight(Named(weights_, name + ".weight"));
  };
  final_norm_ = norm("model.norm");
  at::Tensor tied = embedding_;
  head_ = used_.MakeHead(config.tie_word_embeddings ? &tied : &Named(weights_, "lm_head.weight"));
  rotary_ = RotaryTable(config, embedding_.device());
  ProjectionMaker maker(used_);
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string prefix = absl::StrCat("model.layers.", i, ".");
    const std::string attention = prefix + "self_attn.";
    const std::string mlp = prefix + "mlp.";
    Layer layer;
    layer.input_norm = norm(prefix + "input_layernorm");
    layer.post_attention_norm = norm(prefix + "post_attention_layernorm");
    if (config.qk_norm) {
      layer.query_norm = norm(attention + "q_norm");
      layer.key_norm = norm(attention + "k_norm");
    }
    layer.query_key_value = maker.Make({
        Linear(weights_, attention + "q_proj", config.qkv_bias, config.head_dim),
        Linear(weights_, attention + "k_proj", config.qkv_bias, config.head_dim),
        Linear(weights_, attention + "v_proj", config.qkv_bias, config.head_dim),
    });
    layer.output = maker.Make({Linear(weights_, attention + "o_proj", config.output_bias)});
    layer.gate_up = maker.Make({
        Linear(weights_, mlp + "gate_proj", config.mlp_bias),
        Linear(weights_, mlp + "up_proj", config.mlp_bias),
    });
    layer.down = maker.Make({Linear(weights_, mlp + "down_proj", config.mlp_bias)});
    layers_.push_back(std::move(layer));
  }
  std::erase_if(weights_, [](const auto& named) { return !named.second.defined(); });
}

Transformer::~Transformer() = default;
Transformer::Transformer(Transformer&&) noexcept = default;

RotaryRows Transformer::RotaryOf(const at::Tensor& positions) const {
  return {TakeRows(rotary_->cosine, positions), TakeRows(rotary_->sine, positions)};
}

Transformer::AttentionInput Transformer::Project(int64_t index, const at::Tensor& normed,
                                                 const RotaryRows* rotary) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const double eps = config_.rms_norm_eps;
  const Products projected = layer.query_key_value->Apply(normed);
  at::Tensor q = projected[0];
  at::Tensor k = projected[1];
  const at::Tensor& v = projected[2];
  if (config_.qk_norm) {
    q = used_.RmsNorm(q, layer.query_norm, eps);
    k = used_.RmsNorm(k, layer.key_norm, eps);
  }
  if (rotary == nullptr) return {q, k, v};
  return {used_.Rotate(q, *rotary), used_.Rotate(k, *rotary), v};
}

at::Tensor Transformer::OutputBlock(int64_t index, const at::Tensor& attended) const {
  return layers_[static_cast<size_t>(index)].output->Apply(attended).front();
}

at::Tensor Transformer::MlpBlock(int64_t index, const at::Tensor& normed) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const Products projected = layer.gate_up->Apply(normed);
  return layer.down->Apply(used_.GatedSilu(projected[0], projected[1])).front();
}

at::Tensor Transformer::Embed(const at::Tensor& ids) const { return used_.Embed(embedding_, ids); }

at::Tensor Transformer::RunLayer(int64_t index, at::Tensor x, const RotaryRows& rotary,
                                 attention::Attention& attention, const at::Tensor& wanted) const {
  Stream stream = {std::move(x), {}};
  RunLayer(index, &stream, &rotary, attention, wanted);
  return used_.Add(std::move(stream.x), stream.added);
}

void Transformer::RunLayer(int64_t index, Stream* stream, const RotaryRows* rotary,
                           attention::Attention& attention, const at::Tensor& wanted) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const double eps = config_.rms_norm_eps;
  const AttentionInput input =
      Project(index, used_.AddAndNorm(&stream->x, stream->added, layer.input_norm, eps), rotary);
  at::Tensor attended = attention.Forward(index, input.q, input.k, input.v);
  if (wanted.defined()) {
    attended = attended.index_select(0, wanted);
    stream->x = stream->x.index_select(0, wanted);
  }
  stream->added = OutputBlock(index, attended);
  stream->added =
      MlpBlock(index, used_.AddAndNorm(&stream->x, stream->added, layer.post_attention_norm, eps));
}

at::Tensor Transformer::FinalNorm(const at::Tensor& x) const {
  return used_.RmsNorm(x, final_norm_, config_.rms_norm_eps);
}

at::Tensor Transformer::Hidden(const at::Tensor& ids, const at::Tensor& positions,
                               attention::Attention& attention, const at::Tensor& wanted) const {
  const bool rotates = attention.Rotates();
  const RotaryRows rotary = rotates ? RotaryRows{} : RotaryOf(positions);
  Stream stream = {Embed(ids), {}};
  for (int64_t i = 0; i < config_.layers; ++i) {
    const at::Tensor& rows = i + 1 == config_.layers ? wanted : at::Tensor();
    RunLayer(i, &stream, rotates ? nullptr : &rotary, attention, rows);
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
    AttentionInput input = {at::empty({rows, config_.heads, config_.head_dim}, x.options()),
                            by_head(config_.kv_heads), by_head(config_.kv_heads)};
    ForSlices(rows, x.device(), [&](int64_t first, int64_t count) {
      const auto slice = [&](const at::Tensor& whole) { return whole.narrow(0, first, count); };
      const RotaryRows turns = {slice(rotary.cosine), slice(rotary.sine)};
      const Layer& layer = layers_[static_cast<size_t>(i)];
      const AttentionInput part =
          Project(i, used_.RmsNorm(slice(x), layer.input_norm, config_.rms_norm_eps), &turns);
      slice(input.q).copy_(part.q);
      slice(input.k).copy_(part.k);
      slice(input.v).copy_(part.v);
    });
    const at::Tensor attended = attention.Forward(i, input.q, input.k, input.v);
    if (i + 1 == config_.layers) return;
    input = {};
    ForSlices(rows, x.device(), [&](int64_t first, int64_t count) {
      const Layer& layer = layers_[static_cast<size_t>(i)];
      at::Tensor slice = x.narrow(0, first, count);
      slice.add_(OutputBlock(i, attended.narrow(0, first, count)));
      slice.add_(
          MlpBlock(i, used_.RmsNorm(slice, layer.post_attention_norm, config_.rms_norm_eps)));
    });
  }
}

at::Tensor Transformer::Logits(const at::Tensor& hidden) const {
  return head_->Apply(hidden).front();
}

}  // namespace attnrl::model
