// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "common/attention/fixed_order/kernels.h"
#include "common/model/operators.h"

namespace attnrl::model {
namespace {

using attention::GetFixedOrderKernels;
using attention::Panels;

const float* Data(const at::Tensor& x) { return x.const_data_ptr<float>(); }

at::Tensor Float(const at::Tensor& x) { return x.detach().to(at::kFloat).contiguous(); }

// Calls run(begin, end) for ranges of rows on the threads of at::get_num_threads(); what is too
// little work for two stays on this one. `row_work`: multiply-adds of a row, or as many elements
// times 16. Rows are computed alike wherever they are.
template <typename Run>
void ForRows(int64_t rows, int64_t row_work, const Run& run) {
  constexpr int64_t kWorthAThread = int64_t{1} << 20;
  at::parallel_for(0, rows, std::max(int64_t{1}, kWorthAThread / std::max(int64_t{1}, row_work)),
                   run);
}

// x where the elements of each row (dimension 0) are dense, else a copy that is.
at::Tensor DenseRows(const at::Tensor& x) {
  int64_t size = 1;
  for (int64_t dimension = x.dim() - 1; dimension > 0; --dimension) {
    if (x.stride(dimension) != size) return x.contiguous();
    size *= x.size(dimension);
  }
  return x;
}

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
    float* const target = y.mutable_data_ptr<float>();
    ForRows(x.size(0), in_ * out_, [&](int64_t begin, int64_t end) {
      GetFixedOrderKernels().linear(Data(x) + begin * in_, end - begin, in_, panels,
                                    bias_.defined() ? Data(bias_) : nullptr, out_,
                                    target + begin * out_);
    });
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
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): a pointer to it leaves here
    at::Tensor named = weight;
    return MakeProjection({{.weight = &named, .bias = nullptr}});
  }

  at::Tensor Embed(const at::Tensor& table, const at::Tensor& ids) const override {
    return Float(table.detach().index_select(0, ids));
  }

  at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) const override {
    const at::Tensor dense = x.contiguous();
    const at::Tensor weights = Float(weight);
    at::Tensor y = at::empty_like(dense);
    float* const target = y.mutable_data_ptr<float>();
    const int64_t n = x.size(-1);
    ForRows(x.numel() / n, 16 * n, [&](int64_t begin, int64_t end) {
      GetFixedOrderKernels().rms_norm(Data(dense) + begin * n, Data(weights), end - begin, n,
                                      static_cast<float>(eps), target + begin * n);
    });
    return y;
  }

  at::Tensor GatedSilu(const at::Tensor& gate, const at::Tensor& up) const override {
    const at::Tensor gates = DenseRows(gate);
    const at::Tensor ups = DenseRows(up);
    const int64_t n = gate.size(1);
    at::Tensor y = at::empty({gate.size(0), n}, gate.options());
    float* const target = y.mutable_data_ptr<float>();
    ForRows(gate.size(0), 16 * n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        GetFixedOrderKernels().gated_silu(Data(gates) + row * gates.stride(0),
                                          Data(ups) + row * ups.stride(0), n, target + row * n);
      }
    });
    return y;
  }

  at::Tensor Rotate(const at::Tensor& x, const RotaryRows& rotary) const override {
    const at::Tensor dense = DenseRows(x);
    const int64_t heads = x.size(1);
    const int64_t n = x.size(2);
    at::Tensor y = at::empty({x.size(0), heads, n}, x.options());
    float* const target = y.mutable_data_ptr<float>();
    ForRows(x.size(0), 16 * heads * n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        GetFixedOrderKernels().rotate(Data(dense) + row * dense.stride(0),
                                      Data(rotary.cosine) + row * n, Data(rotary.sine) + row * n,
                                      heads, n, target + row * heads * n);
      }
    });
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
