// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/parameters.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <stdexcept>

namespace attnrl::learner {
namespace {

constexpr int64_t kAlign = 16;  // float32 elements in a cache line

at::ScalarType ScalarTypeOf(model::DType dtype) {
  return dtype == model::DType::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

}  // namespace

Parameters::Parameters(const model::Tensors& weights, model::DType compute) : compute_(compute) {
  at::NoGradGuard no_grad;
  int64_t padded = 0;
  for (const auto& [name, tensor] : weights) {
    slices_.push_back({name, tensor.sizes().vec(), padded, tensor.numel()});
    count_ += tensor.numel();
    padded += (tensor.numel() + kAlign - 1) / kAlign * kAlign;
  }
  at::TensorOptions options = at::TensorOptions(at::kFloat);
  if (!weights.empty()) options = options.device(weights.begin()->second.device());
  values_ = at::zeros({padded}, options);
  gradient_ = at::zeros({padded}, options);
  first_moment_ = at::zeros({padded}, options);
  second_moment_ = at::zeros({padded}, options);
  for (const Slice& slice : slices_) {
    View(values_, slice).copy_(weights.at(slice.name));
    at::Tensor leaf = View(values_, slice).detach();
    if (compute_ != model::DType::kFloat32) leaf = leaf.to(ScalarTypeOf(compute_));
    leaves_[slice.name] = leaf.set_requires_grad(true);
  }
}

at::Tensor Parameters::View(const at::Tensor& flat, const Slice& slice) const {
  return flat.narrow(0, slice.offset, slice.count).view(slice.shape);
}

std::vector<Parameters::Run> Parameters::Runs() const {
  std::vector<Run> runs;
  for (const Slice& slice : slices_) {
    const bool matrix = slice.shape.size() > 1;
    if (runs.empty() || runs.back().matrices != matrix) runs.push_back({slice.offset, 0, matrix});
    const int64_t padded = (slice.count + kAlign - 1) / kAlign * kAlign;
    runs.back().count = slice.offset + padded - runs.back().offset;
  }
  return runs;
}

void Parameters::AddGradients() {
  at::NoGradGuard no_grad;
  for (const Slice& slice : slices_) {
    at::Tensor& gradient = leaves_.at(slice.name).mutable_grad();
    if (!gradient.defined()) continue;
    View(gradient_, slice).add_(gradient);
    gradient = at::Tensor();
  }
}

at::Tensor Parameters::GradientOf(const std::string& name) const {
  const auto slice = std::find_if(slices_.begin(), slices_.end(),
                                  [&](const Slice& other) { return other.name == name; });
  if (slice == slices_.end()) throw std::logic_error("no tensor " + name);
  return View(gradient_, *slice);
}

void Parameters::ZeroGradient() { gradient_.zero_(); }

void Parameters::Refresh() {
  if (compute_ == model::DType::kFloat32) return;
  at::NoGradGuard no_grad;
  for (const Slice& slice : slices_) leaves_.at(slice.name).copy_(View(values_, slice));
}

model::Tensors Parameters::Named(const at::Tensor& flat) const {
  at::NoGradGuard no_grad;
  model::Tensors named;
  for (const Slice& slice : slices_) named[slice.name] = View(flat, slice).clone();
  return named;
}

bool Parameters::Assign(const model::Tensors& named, at::Tensor& flat) const {
  at::NoGradGuard no_grad;
  if (named.size() != slices_.size()) return false;
  for (const Slice& slice : slices_) {
    const auto found = named.find(slice.name);
    if (found == named.end() || found->second.sizes() != at::IntArrayRef(slice.shape)) return false;
  }
  for (const Slice& slice : slices_) View(flat, slice).copy_(named.at(slice.name));
  return true;
}

model::Tensors Parameters::Published() const {
  at::NoGradGuard no_grad;
  model::Tensors published;
  for (const Slice& slice : slices_) {
    published[slice.name] = View(values_, slice).to(ScalarTypeOf(compute_), false, true);
  }
  return published;
}

}  // namespace attnrl::learner
