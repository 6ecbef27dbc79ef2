// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/adamw.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace attnrl::learner {
namespace {

// Elements whose squares are summed at once: what float64 copies take is 8 MB, which stays in
// cache.
constexpr int64_t kNormSlice = int64_t{1} << 20;
// Elements of each moment that are brought to the device at once: 256 MB together.
constexpr int64_t kMomentSlice = int64_t{1} << 25;

void StepOn(const AdamWOptions& options, double weight_decay, const at::Tensor& steps,
            const at::Tensor& values, Parameters& parameters, int64_t offset, int64_t count) {
  const auto part = [&](const at::Tensor& flat) { return flat.narrow(0, offset, count); };
  const at::Tensor first = part(parameters.first_moment());
  const at::Tensor second = part(parameters.second_moment());
  // The same tensors unless they lie on the host.
  const at::Tensor first_here = first.to(values.device(), /*non_blocking=*/true);
  const at::Tensor second_here = second.to(values.device(), /*non_blocking=*/true);
  at::_fused_adamw_(part(values), part(parameters.gradient()), first_here, second_here, {}, steps,
                    options.learning_rate, options.beta1, options.beta2, weight_decay,
                    options.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  if (first_here.is_same(first)) return;
  first.copy_(first_here);
  second.copy_(second_here);
}

// Squared norms of the gradient's parts, float64 [ranks, buckets * parts of a rank] on the host;
// the row of this rank is filled. What one part has doesn't depend on how many ranks there are.
at::Tensor SquaresByPart(Parameters& parameters) {
  const FlatLayout& layout = parameters.layout();
  const int64_t parts = layout.sharding().parts / layout.sharding().ranks;
  std::vector<at::Tensor> slices;
  std::vector<size_t> ends;  // of each part among them
  for (int64_t part = 0; part < parts; ++part) {
    for (const FlatLayout::Bucket& bucket : layout.buckets()) {
      const int64_t count = layout.OwnCount(bucket) / parts;
      const at::Tensor flat =
          parameters.gradient().narrow(0, layout.OwnOffset(bucket) + part * count, count);
      for (const at::Tensor& slice : flat.split(kNormSlice)) slices.push_back(slice);
      ends.push_back(slices.size());
    }
  }
  // All results in one tensor: one of its own for each would lie between the float64 copies, and
  // the allocator couldn't use the room of a copy for the next one.
  const at::Tensor norms = at::empty({static_cast<int64_t>(slices.size())},
                                     parameters.gradient().options().dtype(at::kDouble));
  for (size_t i = 0; i < slices.size(); ++i) {
    at::Tensor norm = norms[static_cast<int64_t>(i)];
    at::linalg_vector_norm_out(norm, slices[i], 2, std::nullopt, false, at::kDouble);
  }
  const at::Tensor host = norms.to(at::kCPU);  // the only wait for the device
  const auto* norm = host.const_data_ptr<double>();
  at::Tensor rows = at::zeros({layout.sharding().ranks, static_cast<int64_t>(ends.size())},
                              at::TensorOptions(at::kDouble));
  auto* squares = rows[layout.sharding().rank].mutable_data_ptr<double>();
  size_t slice = 0;
  for (size_t part = 0; part < ends.size(); ++part) {
    for (; slice < ends[part]; ++slice) squares[part] += norm[slice] * norm[slice];
  }
  return rows;
}

}  // namespace

void AdamWStep(const AdamWOptions& options, int64_t step, Parameters& parameters) {
  at::NoGradGuard no_grad;
  // A step of size 0 would still turn -0.0 into 0.0, so that it works on a copy that is dropped.
  at::Tensor values = parameters.values();
  if (options.learning_rate == 0) values = values.clone();
  const at::Tensor steps = at::full({}, static_cast<double>(step),
                                    at::TensorOptions(at::kFloat).device(values.device()));
  std::vector<FlatLayout::Run> runs = parameters.layout().Runs();
  if (options.decay_norms_and_biases) runs = {{0, values.numel(), /*matrices=*/true}};
  // In slices where moments come and go, so that few of them are on the device at once.
  const int64_t slice =
      parameters.first_moment().device() == values.device() ? values.numel() : kMomentSlice;
  for (const FlatLayout::Run& run : runs) {
    for (int64_t first = 0; first < run.count; first += slice) {
      StepOn(options, run.matrices ? options.weight_decay : 0, steps, values, parameters,
             run.offset + first, std::min(slice, run.count - first));
    }
  }
}

double ClipGradient(Parameters& parameters, double max_norm) {
  at::NoGradGuard no_grad;
  const at::Tensor squares = SquaresByPart(parameters);
  if (parameters.group() != nullptr) AllGather(*parameters.group(), squares);
  const double norm = std::sqrt(squares.sum().item<double>());
  if (max_norm > 0 && std::isfinite(norm)) {
    const double scale = max_norm / (norm + 1e-6);
    if (scale < 1) parameters.gradient().mul_(scale);
  }
  return norm;
}

}  // namespace attnrl::learner
