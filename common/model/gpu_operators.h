// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "common/model/gpu/row_kernels.h"
#include "common/model/operators.h"

namespace attnrl::model {

// The operators of the standard mode without gradients, with norms (and the sum before one) and
// gated SiLU in one launch each where their rows fit the kernels (common/kernels/cuda/rows.h):
// float32 or bfloat16, rows of a multiple of 16 bytes. All else is Operators::Standard(). Throws
// std::runtime_error where a launch is refused. Stateless.
class GpuOperators final : public Operators {
 public:
  explicit GpuOperators(const RowKernels& kernels) : kernels_(kernels) {}

  const Operators& For(at::ScalarType, const at::Device&, bool gradients) const override {
    return gradients ? Standard() : *this;
  }
  std::unique_ptr<const Projection> MakeProjection(
      const std::vector<LinearTensors>& maps) const override {
    return Standard().MakeProjection(maps);
  }
  std::unique_ptr<const Projection> MakeHead(at::Tensor* weight) const override {
    return Standard().MakeHead(weight);
  }
  at::Tensor Embed(const at::Tensor& table, const at::Tensor& ids) const override {
    return Standard().Embed(table, ids);
  }
  at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) const override;
  at::Tensor Add(at::Tensor x, const at::Tensor& y) const override {
    return Standard().Add(std::move(x), y);
  }
  at::Tensor AddAndNorm(at::Tensor* x, const at::Tensor& y, const at::Tensor& weight,
                        double eps) const override;
  at::Tensor GatedSilu(const at::Tensor& gate, const at::Tensor& up) const override;
  at::Tensor Rotate(const at::Tensor& x, const RotaryRows& rotary) const override {
    return Standard().Rotate(x, rotary);
  }
  at::Tensor LogSoftmax(const at::Tensor& logits) const override {
    return Standard().LogSoftmax(logits);
  }
  std::string_view name() const override { return Standard().name(); }

 private:
  // Adds `added` to x, where it is defined, and returns the norm.
  template <typename T>
  at::Tensor NormBy(const at::Tensor& x, const at::Tensor& added, const at::Tensor& weight,
                    double eps) const;
  template <typename T>
  at::Tensor SiluBy(const at::Tensor& gate, const at::Tensor& up) const;

  const RowKernels& kernels_;
};

}  // namespace attnrl::model
