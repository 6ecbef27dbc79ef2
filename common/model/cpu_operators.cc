// SPDX-License-Identifier: Apache-2.0
#include "common/model/cpu_operators.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "common/kernels/isa.h"
#include "common/kernels/kernels.h"
#include "common/model/cpu/row_parts.h"
#include "common/model/cpu/taken_rows.h"
#include "common/model/operators.h"

namespace attnrl::model {
namespace {

using kernels::UsedKernels;

// Every call of ATen finds its function anew, which takes as long as a small kernel: what is asked
// for most is answered without.
at::Tensor Float(const at::Tensor& x) {
  if (x.scalar_type() == at::kFloat && x.is_contiguous()) return x;
  return x.detach().to(at::kFloat).contiguous();
}

class CpuOperators final : public Operators {
 public:
  explicit CpuOperators(std::string_view name) : name_(name) {}

  const Operators& For(at::ScalarType, const at::Device&, bool) const override { return *this; }

  std::unique_ptr<const Projection> MakeProjection(
      const std::vector<LinearTensors>& maps) const override {
    return MakePackedProjection(maps);
  }

  std::unique_ptr<const Projection> MakeHead(at::Tensor* weight) const override {
    return MakePackedProjection({{.weight = weight, .bias = nullptr}});
  }

  at::Tensor Embed(const at::Tensor& table, const at::Tensor& ids) const override {
    return TakeRows(table, ids);
  }

  at::Tensor NormWeight(const at::Tensor& weight) const override { return Float(weight); }

  at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) const override {
    TORCH_CHECK(x.dim() > 1, "norms of ", x.sizes(), "; [rows, ..., n] is wanted");
    const int64_t n = x.size(-1);
    const at::Tensor dense = DenseRows(x);
    const at::Tensor weights = Float(weight);
    at::Tensor y = EmptyFloats(x.sizes());
    float* const target = y.mutable_data_ptr<float>();
    const auto norm = [&](const float* from, int64_t stride, int64_t rows, float* to) {
      UsedKernels().rms_norm(from, stride, Floats(weights), rows, n, static_cast<float>(eps), to);
    };
    const int64_t rows = x.size(0);
    const int64_t stride = dense.stride(0);
    const int64_t size = x.numel() / std::max<int64_t>(1, rows);
    ForRows(rows, 16 * size, [&](int64_t begin, int64_t end) {
      if (size == n)
        return norm(Floats(dense) + begin * stride, stride, end - begin, target + begin * n);
      for (int64_t row = begin; row < end; ++row) {
        norm(Floats(dense) + row * stride, n, size / n, target + row * size);
      }
    });
    return y;
  }

  at::Tensor Add(at::Tensor x, const at::Tensor& y) const override {
    if (!x.is_contiguous() || !y.is_contiguous()) return x.add_(y);
    const int64_t n = x.numel() / std::max<int64_t>(1, x.size(0));
    float* const target = x.mutable_data_ptr<float>();
    ForRows(x.size(0), 16 * n, [&](int64_t begin, int64_t end) {
      UsedKernels().add(Floats(y) + begin * n, (end - begin) * n, target + begin * n);
    });
    return x;
  }

  at::Tensor GatedSilu(const at::Tensor& gate, const at::Tensor& up) const override {
    const at::Tensor gates = DenseRows(gate);
    const at::Tensor ups = DenseRows(up);
    const int64_t n = gate.size(1);
    at::Tensor y = EmptyFloats({gate.size(0), n});
    float* const target = y.mutable_data_ptr<float>();
    ForRows(gate.size(0), 16 * n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        UsedKernels().gated_silu(Floats(gates) + row * gates.stride(0),
                                 Floats(ups) + row * ups.stride(0), n, target + row * n);
      }
    });
    return y;
  }

  at::Tensor Rotate(const at::Tensor& x, const RotaryRows& rotary) const override {
    const at::Tensor dense = DenseRows(x);
    const int64_t heads = x.size(1);
    const int64_t n = x.size(2);
    at::Tensor y = EmptyFloats({x.size(0), heads, n});
    float* const target = y.mutable_data_ptr<float>();
    ForRows(x.size(0), 16 * heads * n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        UsedKernels().rotate(Floats(dense) + row * dense.stride(0), Floats(rotary.cosine) + row * n,
                             Floats(rotary.sine) + row * n, heads, n, target + row * heads * n);
      }
    });
    return y;
  }

  at::Tensor LogSoftmax(const at::Tensor& logits) const override {
    const at::Tensor dense = logits.contiguous();
    const int64_t n = logits.size(1);
    at::Tensor y = EmptyFloats(logits.sizes());
    float* const target = y.mutable_data_ptr<float>();
    ForRows(logits.size(0), 16 * n, [&](int64_t begin, int64_t end) {
      UsedKernels().log_softmax(Floats(dense) + begin * n, end - begin, n, target + begin * n);
    });
    return y;
  }

  std::string_view name() const override { return name_; }

 private:
  std::string_view name_;
};

}  // namespace

bool CanRunOnCpuOperators(at::ScalarType dtype) {
  return kernels::UsedIsa() != kernels::Isa::kPortable &&
         (dtype == at::kFloat || dtype == at::kBFloat16);
}

const Operators& StandardCpuOperators() {
  static const CpuOperators operators("standard");
  return operators;
}

const Operators& Operators::FixedOrder() {
  static const CpuOperators operators("fixed-order");
  return operators;
}

}  // namespace attnrl::model
