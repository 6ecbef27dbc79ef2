// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "common/attention/fixed_order_kernels.h"
#include "common/model/operators.h"

namespace attnrl::model {
namespace {

using attention::FixedOrderKernels;
using attention::GetFixedOrderKernels;
using attention::Panels;

const float* Data(const at::Tensor& x) { return x.const_data_ptr<float>(); }

at::Tensor Float(const at::Tensor& x) { return x.detach().to(at::kFloat).contiguous(); }

// A weight cut into panels, float32 or bfloat16 as it is stored.
class FixedOrderMap {
 public:
  FixedOrderMap(const at::Tensor& weight, const at::Tensor& bias)
      : out_(weight.size(0)), in_(weight.size(1)) {
    const at::Tensor dense = weight.detach().contiguous();
    panels_ = at::empty({attention::PanelElements(out_, in_)}, dense.options());
    if (dense.scalar_type() == at::kFloat) {
      attention::FillPanels(Data(dense), out_, in_, panels_.mutable_data_ptr<float>());
    } else {
      attention::FillPanels(reinterpret_cast<const uint16_t*>(dense.const_data_ptr<at::BFloat16>()),
                            out_, in_,
                            reinterpret_cast<uint16_t*>(panels_.mutable_data_ptr<at::BFloat16>()));
    }
    if (bias.defined()) bias_ = Float(bias);
  }

  // x float32 [rows, in], dense.
  at::Tensor Apply(const at::Tensor& x) const {
    at::Tensor y = at::empty({x.size(0), out_}, x.options());
    Panels panels;
    if (panels_.scalar_type() == at::kFloat) {
      panels.float32 = Data(panels_);
    } else {
      panels.bfloat16 = reinterpret_cast<const uint16_t*>(panels_.const_data_ptr<at::BFloat16>());
    }
    GetFixedOrderKernels().linear(Data(x), x.size(0), in_, panels,
                                  bias_.defined() ? Data(bias_) : nullptr, out_,
                                  y.mutable_data_ptr<float>());
    return y;
  }

 private:
  int64_t out_;
  int64_t in_;
  at::Tensor panels_;
  at::Tensor bias_;
};

class FixedOrderProjection final : public Projection {
 public:
  explicit FixedOrderProjection(const std::vector<LinearTensors>& maps) {
    for (const LinearTensors& map : maps) {
      maps_.emplace_back(*map.weight, map.bias == nullptr ? at::Tensor() : *map.bias);
    }
  }

  std::vector<at::Tensor> Apply(const at::Tensor& x) const override {
    const at::Tensor dense = x.contiguous();
    std::vector<at::Tensor> results;
    for (const FixedOrderMap& map : maps_) results.push_back(map.Apply(dense));
    return results;
  }

 private:
  std::vector<FixedOrderMap> maps_;
};

class FixedOrderOperators final : public Operators {
 public:
  std::unique_ptr<const Projection> MakeProjection(
      const std::vector<LinearTensors>& maps) const override {
    return std::make_unique<FixedOrderProjection>(maps);
  }

  std::unique_ptr<const Projection> MakeHead(const at::Tensor& weight) const override {
    at::Tensor named = weight;
    return MakeProjection({{.weight = &named, .bias = nullptr}});
  }

  at::Tensor Embed(const at::Tensor& table, const at::Tensor& ids) const override {
    return Float(table.detach().index_select(0, ids));
  }

  at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) const override {
    const at::Tensor dense = x.contiguous();
    at::Tensor y = at::empty_like(dense);
    const int64_t n = x.size(-1);
    GetFixedOrderKernels().rms_norm(Data(dense), Data(Float(weight)), x.numel() / n, n,
                                    static_cast<float>(eps), y.mutable_data_ptr<float>());
    return y;
  }

  at::Tensor GatedSilu(const at::Tensor& gate, const at::Tensor& up) const override {
    const at::Tensor gates = gate.contiguous();
    const at::Tensor ups = up.contiguous();
    at::Tensor y = at::empty_like(gates);
    GetFixedOrderKernels().gated_silu(Data(gates), Data(ups), gates.numel(),
                                      y.mutable_data_ptr<float>());
    return y;
  }

  at::Tensor Rotate(const at::Tensor& x, const RotaryRows& rotary) const override {
    const at::Tensor dense = x.contiguous();
    at::Tensor y = at::empty_like(dense);
    const FixedOrderKernels& kernels = GetFixedOrderKernels();
    const int64_t n = x.size(2);
    for (int64_t row = 0; row < x.size(0); ++row) {
      const int64_t first = row * x.size(1) * n;
      kernels.rotate(Data(dense) + first, Data(rotary.cosine) + row * n,
                     Data(rotary.sine) + row * n, x.size(1), n,
                     y.mutable_data_ptr<float>() + first);
    }
    return y;
  }

  at::Tensor LogSoftmax(const at::Tensor& logits) const override {
    const at::Tensor dense = logits.contiguous();
    at::Tensor y = at::empty_like(dense);
    GetFixedOrderKernels().log_softmax(Data(dense), dense.size(0), dense.size(1),
                                       y.mutable_data_ptr<float>());
    return y;
  }

  std::string_view name() const override { return "fixed-order"; }
};

}  // namespace

const Operators& Operators::FixedOrder() {
  static const FixedOrderOperators operators;
  return operators;
}

}  // namespace attnrl::model
