// SPDX-License-Identifier: Apache-2.0
#include "common/model/cpu/trained_rows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>

#include "common/kernels/kernels.h"
#include "common/model/cpu/row_parts.h"

namespace attnrl::model {
namespace {

using kernels::UsedKernels;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Dense and float32: itself where it is that.
at::Tensor Wide(const at::Tensor& x) { return x.detach().to(at::kFloat).contiguous(); }
at::Tensor WideRows(const at::Tensor& x) { return DenseRows(x.detach().to(at::kFloat)); }
float* Target(at::Tensor& x) { return x.mutable_data_ptr<float>(); }

struct NormGradient {
  at::Tensor of_x, of_weight;
};

// All dense float32 [..., n]; `also` (undefined: zero) is added to the gradient of x. That of the
// weight is summed by blocks of so many rows, whatever the threads.
NormGradient DifferentiateNorm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& dy,
                               const at::Tensor& also, double eps) {
  constexpr int64_t kBlock = 64;
  const int64_t n = x.size(-1);
  const int64_t rows = x.numel() / n;
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  NormGradient gradient = {EmptyFloats(x.sizes()), at::zeros({n}, weight.options())};
  at::Tensor by_block = at::zeros({blocks, n}, weight.options());
  float* const dx = Target(gradient.of_x);
  float* const dweight = Target(by_block);
  ForRows(blocks, kBlock * 16 * n, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kBlock * n;
      UsedKernels().rms_norm_gradient(Floats(x) + first, Floats(weight), Floats(dy) + first,
                                      also.defined() ? Floats(also) + first : nullptr,
                                      std::min(kBlock, rows - block * kBlock), n,
                                      static_cast<float>(eps), dx + first, dweight + block * n);
    }
  });
  for (int64_t block = 0; block < blocks; ++block) {
    UsedKernels().add(dweight + block * n, n, Target(gradient.of_weight));
  }
  return gradient;
}

class RmsNorm : public Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double eps) {
    context->save_for_backward({x, weight});
    context->saved_data["eps"] = eps;
    const at::Tensor wide = Wide(x), weights = Wide(weight);
    const int64_t n = x.size(-1);
    at::Tensor y = EmptyFloats(x.sizes());
    float* const target = Target(y);
    ForRows(x.numel() / n, 16 * n, [&](int64_t begin, int64_t end) {
      UsedKernels().rms_norm(Floats(wide) + begin * n, n, Floats(weights), end - begin, n,
                             static_cast<float>(eps), target + begin * n);
    });
    return y.to(x.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const NormGradient gradient =
        DifferentiateNorm(Wide(saved[0]), Wide(saved[1]), Wide(gradients[0]), at::Tensor(),
                          context->saved_data["eps"].toDouble());
    return {gradient.of_x.to(saved[0].scalar_type()), gradient.of_weight.to(saved[1].scalar_type()),
            at::Tensor()};
  }
};

class AddAndNorm : public Function<AddAndNorm> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& y,
                               const at::Tensor& weight, double eps) {
    const at::Tensor wide_x = Wide(x), wide_y = Wide(y), weights = Wide(weight);
    const int64_t n = x.size(1);
    at::Tensor sum = EmptyFloats(x.sizes()), normed = EmptyFloats(x.sizes());
    float* const sums = Target(sum);
    float* const target = Target(normed);
    ForRows(x.size(0), 32 * n, [&](int64_t begin, int64_t end) {
      for (int64_t first = begin * n; first < end * n; first += n) {
        std::copy_n(Floats(wide_x) + first, n, sums + first);
        UsedKernels().add(Floats(wide_y) + first, n, sums + first);
        UsedKernels().rms_norm(sums + first, n, Floats(weights), 1, n, static_cast<float>(eps),
                               target + first);
      }
    });
    sum = sum.to(x.scalar_type());
    context->save_for_backward({sum, weight});
    context->saved_data["eps"] = eps;
    return {sum, normed.to(x.scalar_type())};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const NormGradient gradient =
        DifferentiateNorm(Wide(saved[0]), Wide(saved[1]), Wide(gradients[1]), Wide(gradients[0]),
                          context->saved_data["eps"].toDouble());
    const at::Tensor of_sum = gradient.of_x.to(saved[0].scalar_type());
    return {of_sum, of_sum, gradient.of_weight.to(saved[1].scalar_type()), at::Tensor()};
  }
};

class GatedSilu : public Function<GatedSilu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate,
                            const at::Tensor& up) {
    context->save_for_backward({gate, up});
    const at::Tensor gates = Wide(gate), ups = Wide(up);
    const int64_t n = gate.size(1);
    at::Tensor y = EmptyFloats(gate.sizes());
    float* const target = Target(y);
    ForRows(gate.size(0), 16 * n, [&](int64_t begin, int64_t end) {
      UsedKernels().gated_silu(Floats(gates) + begin * n, Floats(ups) + begin * n,
                               (end - begin) * n, target + begin * n);
    });
    return y.to(gate.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::ScalarType dtype = saved[0].scalar_type();
    const at::Tensor gates = Wide(saved[0]), ups = Wide(saved[1]), dy = Wide(gradients[0]);
    const int64_t n = dy.size(1);
    at::Tensor of_gate = EmptyFloats(dy.sizes()), of_up = EmptyFloats(dy.sizes());
    float* const dgate = Target(of_gate);
    float* const dup = Target(of_up);
    ForRows(dy.size(0), 16 * n, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * n;
      UsedKernels().gated_silu_gradient(Floats(gates) + first, Floats(ups) + first,
                                        Floats(dy) + first, (end - begin) * n, dgate + first,
                                        dup + first);
    });
    return {of_gate.to(dtype), of_up.to(dtype)};
  }
};

at::Tensor RotateRows(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  const at::Tensor dense = WideRows(x);
  const int64_t heads = x.size(1);
  const int64_t n = x.size(2);
  at::Tensor y = EmptyFloats(x.sizes());
  float* const target = Target(y);
  ForRows(x.size(0), 16 * heads * n, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      UsedKernels().rotate(Floats(dense) + row * dense.stride(0), Floats(cosine) + row * n,
                           Floats(sine) + row * n, heads, n, target + row * heads * n);
    }
  });
  return y.to(x.scalar_type());
}

class Rotate : public Function<Rotate> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cosine,
                            const at::Tensor& sine) {
    context->saved_data["cosine"] = cosine;
    context->saved_data["sine"] = sine;
    return RotateRows(x, cosine, sine);
  }

  // The other way round.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {RotateRows(gradients[0], context->saved_data["cosine"].toTensor(),
                       context->saved_data["sine"].toTensor().neg()),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor TrainedRmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return RmsNorm::apply(x, weight, eps);
}

std::pair<at::Tensor, at::Tensor> TrainedAddAndNorm(const at::Tensor& x, const at::Tensor& y,
                                                    const at::Tensor& weight, double eps) {
  const variable_list results = AddAndNorm::apply(x, y, weight, eps);
  return {results[0], results[1]};
}

at::Tensor TrainedGatedSilu(const at::Tensor& gate, const at::Tensor& up) {
  return GatedSilu::apply(gate, up);
}

at::Tensor TrainedRotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  return Rotate::apply(x, cosine.contiguous(), sine.contiguous());
}

}  // namespace attnrl::model
