// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/pass_gradient.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/device/device.h"
#include "common/model/operators.h"

namespace attnrl::learner {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";

}  // namespace

int64_t ActivationBytes(const model::ModelConfig& config, int64_t element) {
  const int64_t attention = (config.heads + 2 * config.kv_heads) * config.head_dim;
  return element * (10 * config.hidden_size + 5 * attention + 5 * config.intermediate_size);
}

bool ComputesAgain(CheckpointLayers checkpoint, const model::ModelConfig& config, int64_t rows,
                   int64_t element, int64_t memory) {
  if (checkpoint != CheckpointLayers::kAuto) return checkpoint == CheckpointLayers::kAll;
  return memory > 0 && rows * config.layers * ActivationBytes(config, element) > memory / 8;
}

PassGradient::PassGradient(const model::Transformer& transformer, Parameters& parameters,
                           const Pass& pass, const Options& options)
    : transformer_(transformer),
      parameters_(parameters),
      pass_(pass),
      head_name_(HeadName(transformer.config())),
      head_(model::AtLeastFloat32(parameters.leaves().at(head_name_).detach())),
      attention_(MakeAttention(pass, transformer.config(), transformer.weights_dtype())),
      rotary_(transformer.RotaryOf(pass.positions)),
      chunks_(pass, transformer.config().vocab_size, options.temperature,
              [this](const at::Tensor& states) {
                return at::linear(states.to(head_.scalar_type()), head_);
              }) {
  const at::NoGradGuard no_grad;
  at::Tensor x = transformer.Embed(pass.ids);
  const auto memory = device::MemoryOf(pass.ids.device());
  const bool again = ComputesAgain(options.checkpoint, transformer.config(), pass.ids.numel(),
                                   x.element_size(), memory.ok() ? memory->total : 0);
  for (int64_t i = 0; i < transformer.config().layers; ++i) {
    LayerRun& layer = layers_.emplace_back();
    layer.input = x;
    if (again) {
      x = transformer.RunLayer(i, x, rotary_, *attention_, WantedOf(i));
    } else {
      layer.output = RunLayer(i, layer.input);
      x = layer.output.detach();
    }
  }
  last_ = x;
  hidden_ = transformer.FinalNorm(last_);
  scores_ = chunks_.Forward(hidden_);
}

at::Tensor PassGradient::RunLayer(int64_t index, const at::Tensor& input) const {
  const at::AutoGradMode gradients(true);
  at::Tensor leaf = input;  // shares the tensor, whose gradient is asked for after backward
  leaf.set_requires_grad(true);
  return transformer_.RunLayer(index, leaf, rotary_, *attention_, WantedOf(index));
}

at::Tensor PassGradient::WantedOf(int64_t index) const {
  return index + 1 == transformer_.config().layers ? pass_.scored : at::Tensor();
}

void PassGradient::Backward(const at::Tensor& logprob_gradient,
                            const at::Tensor& entropy_gradient) {
  at::Tensor gradient = chunks_.Backward(hidden_, logprob_gradient, entropy_gradient, head_,
                                         parameters_.GradientOf(head_name_));
  {
    const at::AutoGradMode gradients(true);
    last_.set_requires_grad(true);
    const at::Tensor hidden = transformer_.FinalNorm(last_);
    hidden.backward(gradient.to(hidden.scalar_type()));
  }
  gradient = last_.grad();
  for (auto index = static_cast<int64_t>(layers_.size()) - 1; index >= 0; --index) {
    LayerRun layer = std::exchange(layers_[static_cast<size_t>(index)], {});
    if (!layer.output.defined()) layer.output = RunLayer(index, layer.input);
    layer.output.backward(gradient);
    gradient = layer.input.grad();
    parameters_.AddGradients();
    parameters_.gradient_sum().Complete(absl::StrCat("model.layers.", index, "."));
  }
  at::Tensor embedding = parameters_.GradientOf(kEmbedding);
  if (embedding.defined()) {
    embedding.index_add_(0, pass_.ids, gradient.to(embedding.scalar_type()));
  }
  parameters_.gradient_sum().EndPass();
}

}  // namespace attnrl::learner
