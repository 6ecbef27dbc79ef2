// SPDX-License-Identifier: Apache-2.0
#include "common/model/gpu_operators.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace attnrl::model {
namespace {

constexpr int64_t kVector = 16;  // bytes that a thread moves at once

void CheckLaunch(cuda::LaunchError error) {
  if (error != nullptr) throw std::runtime_error(std::string("the GPU: ") + error);
}

// Whether rows of n numbers that begin at x fit the kernels.
bool Fits(const at::Tensor& x, int64_t n) {
  const bool known = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  const auto begin = reinterpret_cast<uintptr_t>(x.const_data_ptr());
  return known && n * x.element_size() % kVector == 0 && begin % kVector == 0;
}

// Whether rows of x can be normed with these weights.
bool WeightFits(const at::Tensor& weight, const at::Tensor& x) {
  return weight.numel() <= cuda::ResidualNorm<float>::kMost &&
         weight.scalar_type() == x.scalar_type() && weight.is_contiguous() &&
         Fits(weight, weight.numel());
}

template <typename T>
const T* Numbers(const at::Tensor& x) {
  return static_cast<const T*>(x.const_data_ptr());
}

}  // namespace

at::Tensor GpuOperators::RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) const {
  if (!WeightFits(weight, x)) return Standard().RmsNorm(x, weight, eps);
  const at::Tensor dense = x.contiguous();
  if (!Fits(dense, weight.numel())) return Standard().RmsNorm(x, weight, eps);
  return x.scalar_type() == at::kFloat ? NormBy<float>(dense, {}, weight, eps)
                                       : NormBy<cuda::BFloat16>(dense, {}, weight, eps);
}

at::Tensor GpuOperators::AddAndNorm(at::Tensor* x, const at::Tensor& y, const at::Tensor& weight,
                                    double eps) const {
  const int64_t n = weight.numel();
  const bool together = y.defined() && WeightFits(weight, *x) && y.sizes() == x->sizes() &&
                        y.scalar_type() == x->scalar_type() && y.is_contiguous() &&
                        x->is_contiguous() && Fits(y, n) && Fits(*x, n);
  if (!together) return Operators::AddAndNorm(x, y, weight, eps);
  return x->scalar_type() == at::kFloat ? NormBy<float>(*x, y, weight, eps)
                                        : NormBy<cuda::BFloat16>(*x, y, weight, eps);
}

template <typename T>
at::Tensor GpuOperators::NormBy(const at::Tensor& x, const at::Tensor& added,
                                const at::Tensor& weight, double eps) const {
  const c10::DeviceGuard here(x.device());
  at::Tensor y = at::empty_like(x);
  CheckLaunch(kernels_.Norm(
      cuda::ResidualNorm<T>{// Written only where something is added.
                            .x = const_cast<T*>(Numbers<T>(x)),
                            .added = added.defined() ? Numbers<T>(added) : nullptr,
                            .weight = Numbers<T>(weight),
                            .y = static_cast<T*>(y.mutable_data_ptr()),
                            .n = weight.numel(),
                            .eps = static_cast<float>(eps)},
      x.numel() / weight.numel()));
  return y;
}

at::Tensor GpuOperators::GatedSilu(const at::Tensor& gate, const at::Tensor& up) const {
  // Two views of one product, or two tensors: rows as far apart in both.
  const int64_t n = gate.size(1);
  const bool side_by_side = gate.stride(1) == 1 && up.stride(1) == 1 &&
                            gate.stride(0) == up.stride(0) &&
                            gate.stride(0) * gate.element_size() % kVector == 0;
  if (!side_by_side || gate.scalar_type() != up.scalar_type() || !Fits(gate, n) || !Fits(up, n)) {
    return Standard().GatedSilu(gate, up);
  }
  return gate.scalar_type() == at::kFloat ? SiluBy<float>(gate, up)
                                          : SiluBy<cuda::BFloat16>(gate, up);
}

template <typename T>
at::Tensor GpuOperators::SiluBy(const at::Tensor& gate, const at::Tensor& up) const {
  const c10::DeviceGuard here(gate.device());
  at::Tensor y = at::empty({gate.size(0), gate.size(1)}, gate.options());
  CheckLaunch(kernels_.Silu(cuda::GatedSilu<T>{.gate = Numbers<T>(gate),
                                               .up = Numbers<T>(up),
                                               .stride = gate.stride(0),
                                               .y = static_cast<T*>(y.mutable_data_ptr()),
                                               .n = gate.size(1)},
                            gate.size(0)));
  return y;
}

}  // namespace attnrl::model
