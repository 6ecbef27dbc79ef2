// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "common/kernels/isa.h"
#include "common/model/cpu/trained_products.h"
#include "common/model/cpu/trained_rows.h"
#include "common/model/cpu_operators.h"
#include "common/model/gpu_operators.h"
#include "common/model/operators.h"

namespace attnrl::model {
namespace {

std::optional<at::Tensor> Optional(const at::Tensor* tensor) {
  if (tensor == nullptr || !tensor->defined()) return std::nullopt;
  return *tensor;
}

// Whether this is computed by own CPU kernels, gradients and all.
bool HasOwnKernels(const at::Tensor& x) {
  return x.is_cpu() && CanRunOnCpuOperators(x.scalar_type());
}

// Whether own products of float32 numbers take less time than LibTorch's: rows enough share what
// packing a weight costs.
bool OwnProductsWin(int64_t rows) {
  constexpr int64_t kFewestRows = 512;
  return rows >= kFewestRows && CanRunOnCpuOperators(at::kFloat);
}

// Whether a weight becomes float32 for each product, as activations are.
bool MultipliesInFloat32(const at::Tensor& weight) {
  return weight.scalar_type() == at::kBFloat16 &&
         TrainedActivations(weight.scalar_type(), weight.device()) == at::kFloat;
}

// A linear map on the CPU in float32, forward and backward, by whichever products take less time.
// Nothing wider than its inputs is kept for the way back; gradients have their dtypes.
class TrainedLinear : public torch::autograd::Function<TrainedLinear> {
 public:
  using Context = torch::autograd::AutogradContext;
  using List = torch::autograd::variable_list;

  static at::Tensor forward(Context* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    TORCH_CHECK(x.dim() == 2, "a linear map of ", x.sizes(), "; [rows, in] is wanted");
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.has_value();
    const at::Tensor wide_bias = bias.has_value() ? Wide(*bias) : at::Tensor();
    return OwnProductsWin(x.size(0)) ? MultiplyForward(Wide(x), Wide(weight), wide_bias)
                                     : at::linear(Wide(x), Wide(weight), wide_bias);
  }

  static List backward(Context* context, const List& gradients) {
    const List saved = context->get_saved_variables();
    const at::ScalarType of_weights = saved[1].scalar_type();
    const at::Tensor gradient = Wide(gradients[0]);
    at::Tensor of_x, of_weight, of_bias;
    if (context->needs_input_grad(0)) {
      const at::Tensor weight = Wide(saved[1]);
      of_x =
          OwnProductsWin(gradient.size(0)) ? MultiplyBack(gradient, weight) : gradient.mm(weight);
    }
    if (context->needs_input_grad(1)) of_weight = gradient.t().mm(Wide(saved[0])).to(of_weights);
    if (context->saved_data["bias"].toBool()) of_bias = gradient.sum(0).to(of_weights);
    return {of_x, of_weight, of_bias};
  }

 private:
  static at::Tensor Wide(const at::Tensor& x) { return x.detach().to(at::kFloat); }
};

// x [rows, in], float32 where MultipliesInFloat32(weight).
at::Tensor ApplyLinear(const at::Tensor& x, const at::Tensor& weight,
                       const std::optional<at::Tensor>& bias) {
  const bool own = x.is_cpu() && x.dim() == 2 && x.scalar_type() == at::kFloat &&
                   weight.scalar_type() == at::kFloat && OwnProductsWin(x.size(0));
  const bool here = own || MultipliesInFloat32(weight);
  return here ? TrainedLinear::apply(x, weight, bias) : at::linear(x, weight, bias);
}

at::Tensor Rows(const at::Tensor& x) { return x.dim() > 2 ? x.flatten(1) : x; }

at::Tensor ByHead(const at::Tensor& x, int64_t head_dim) {
  return head_dim > 0 ? x.unflatten(-1, {-1, head_dim}) : x;
}

// The named tensors themselves: gradients flow into them, and what an optimizer writes into them
// counts at the next call.
class NamedProjection final : public Projection {
 public:
  explicit NamedProjection(const std::vector<LinearTensors>& maps)
      : head_dim_(maps.front().head_dim) {
    for (const LinearTensors& map : maps) maps_.emplace_back(*map.weight, Optional(map.bias));
  }

  Products Apply(const at::Tensor& x) const override {
    const at::Tensor rows = Rows(x);
    Products results;
    for (const auto& [weight, bias] : maps_) {
      results.push_back(ByHead(ApplyLinear(rows, weight, bias), head_dim_));
    }
    return results;
  }

 private:
  int64_t head_dim_;
  std::vector<std::pair<at::Tensor, std::optional<at::Tensor>>> maps_;
};

// One product for all maps: weights side by side, of which the named tensors become views.
class FusedProjection final : public Projection {
 public:
  explicit FusedProjection(const std::vector<LinearTensors>& maps)
      : head_dim_(maps.front().head_dim) {
    std::vector<at::Tensor> weights;
    std::vector<at::Tensor> biases;
    for (const LinearTensors& map : maps) {
      sizes_.push_back(map.weight->size(0));
      weights.push_back(*map.weight);
      if (map.bias != nullptr && map.bias->defined()) biases.push_back(*map.bias);
    }
    weight_ = at::cat(weights);
    if (!biases.empty()) bias_ = at::cat(biases);
    int64_t first = 0;
    for (size_t i = 0; i < maps.size(); ++i) {
      *maps[i].weight = weight_.narrow(0, first, sizes_[i]);
      if (bias_.has_value()) *maps[i].bias = bias_->narrow(0, first, sizes_[i]);
      first += sizes_[i];
    }
  }

  Products Apply(const at::Tensor& x) const override {
    Products results;
    for (const at::Tensor& part :
         ApplyLinear(Rows(x), weight_, bias_).split_with_sizes(sizes_, -1)) {
      results.push_back(ByHead(part, head_dim_));
    }
    return results;
  }

 private:
  int64_t head_dim_;
  at::Tensor weight_;
  std::optional<at::Tensor> bias_;
  std::vector<int64_t> sizes_;
};

class Head final : public Projection {
 public:
  explicit Head(const at::Tensor& weight)
      : weight_(weight.requires_grad() ? weight : AtLeastFloat32(weight)) {}

  Products Apply(const at::Tensor& x) const override {
    return {at::linear(AtLeastFloat32(x), AtLeastFloat32(weight_))};
  }

 private:
  at::Tensor weight_;
};

// All maps have a bias or none has, so that a fused one needs no made-up zeros.
bool CanFuse(const std::vector<LinearTensors>& maps) {
  const auto with_bias = std::count_if(maps.begin(), maps.end(), [](const LinearTensors& map) {
    return map.bias != nullptr && map.bias->defined();
  });
  const bool gradients = std::any_of(maps.begin(), maps.end(), [](const LinearTensors& map) {
    return map.weight->requires_grad();
  });
  return maps.size() > 1 && !gradients &&
         (with_bias == 0 || with_bias == static_cast<ptrdiff_t>(maps.size()));
}

class StandardOperators final : public Operators {
 public:
  const Operators& For(at::ScalarType dtype, const at::Device& device,
                       bool gradients) const override {
    if (gradients) return *this;
    if (device.is_cpu() && CanRunOnCpuOperators(dtype)) return StandardCpuOperators();
    if (!device.is_cuda() || GpuRowKernels() == nullptr) return *this;
    static const GpuOperators gpu(*GpuRowKernels());
    return gpu;
  }

  std::unique_ptr<const Projection> MakeProjection(
      const std::vector<LinearTensors>& maps) const override {
    if (CanFuse(maps)) return std::make_unique<FusedProjection>(maps);
    return std::make_unique<NamedProjection>(maps);
  }

  std::unique_ptr<const Projection> MakeHead(at::Tensor* weight) const override {
    return std::make_unique<Head>(*weight);
  }

  at::Tensor Embed(const at::Tensor& table, const at::Tensor& ids) const override {
    return at::embedding(table, ids).to(TrainedActivations(table.scalar_type(), table.device()));
  }

  at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) const override {
    if (HasOwnKernels(x)) return TrainedRmsNorm(x, weight, eps);
    const at::Tensor wide = AtLeastFloat32(x);
    const at::Tensor inverse = wide.square().mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();
    return (wide * inverse).to(x.scalar_type()) * weight;
  }

  at::Tensor Add(at::Tensor x, const at::Tensor& y) const override { return x + y; }

  at::Tensor AddAndNorm(at::Tensor* x, const at::Tensor& y, const at::Tensor& weight,
                        double eps) const override {
    if (!y.defined() || !HasOwnKernels(*x)) return Operators::AddAndNorm(x, y, weight, eps);
    auto [sum, normed] = TrainedAddAndNorm(*x, y, weight, eps);
    *x = std::move(sum);
    return normed;
  }

  at::Tensor GatedSilu(const at::Tensor& gate, const at::Tensor& up) const override {
    if (HasOwnKernels(gate)) return TrainedGatedSilu(gate, up);
    return at::silu(gate) * up;
  }

  at::Tensor Rotate(const at::Tensor& x, const RotaryRows& rotary) const override {
    if (HasOwnKernels(x)) return TrainedRotate(x, rotary.cosine, rotary.sine);
    const at::Tensor wide = AtLeastFloat32(x);
    const at::Tensor swapped = wide.roll(x.size(-1) / 2, -1);
    return at::addcmul(wide * rotary.cosine, swapped, rotary.sine).to(x.scalar_type());
  }

  at::Tensor LogSoftmax(const at::Tensor& logits) const override {
    return at::log_softmax(logits, -1);
  }

  std::string_view name() const override { return "standard"; }
};

}  // namespace

at::Tensor AtLeastFloat32(const at::Tensor& x) {
  return at::isReducedFloatingType(x.scalar_type()) ? x.to(at::kFloat) : x;
}

at::ScalarType TrainedActivations(at::ScalarType weights, const at::Device& device) {
  // LibTorch multiplies bfloat16 numbers one by one there, ten times slower than float32.
  const bool slow = device.is_cpu() && kernels::FastestIsa() < kernels::Isa::kAvx512;
  return slow && weights == at::kBFloat16 ? at::kFloat : weights;
}

const Operators& Operators::Standard() {
  static const StandardOperators operators;
  return operators;
}

}  // namespace attnrl::model
