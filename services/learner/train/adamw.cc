// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/adamw.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

namespace attnrl::learner {

void AdamWStep(const AdamWOptions& options, int64_t step, Parameters& parameters) {
  at::NoGradGuard no_grad;
  // A step of size 0 would still turn -0.0 into 0.0, so that it works on a copy that is dropped.
  at::Tensor values = parameters.values();
  if (options.learning_rate == 0) values = values.clone();
  const at::Tensor steps = at::full({}, static_cast<double>(step),
                                    at::TensorOptions(at::kFloat).device(values.device()));
  at::_fused_adamw_(values, parameters.gradient(), parameters.first_moment(),
                    parameters.second_moment(), {}, steps, options.learning_rate, options.beta1,
                    options.beta2, options.weight_decay, options.epsilon, /*amsgrad=*/false,
                    /*maximize=*/false);
}

double ClipGradient(Parameters& parameters, double max_norm) {
  at::NoGradGuard no_grad;
  at::Tensor& gradient = parameters.gradient();
  const double norm =
      at::linalg_vector_norm(gradient, 2, std::nullopt, false, at::kDouble).item<double>();
  if (max_norm > 0 && std::isfinite(norm)) {
    const double scale = max_norm / (norm + 1e-6);
    if (scale < 1) gradient.mul_(scale);
  }
  return norm;
}

}  // namespace attnrl::learner
