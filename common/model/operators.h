// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"

namespace attnrl::model {

// What linear maps of one input give, in a list that needs no memory of its own.
using Products = absl::InlinedVector<at::Tensor, 3>;

// One or more linear maps of the same input, prepared for many calls.
class Projection {
 public:
  virtual ~Projection() = default;
  // x [rows, in], or [rows, ...] of as many numbers -> for each map [rows, out_i] or by head,
  // possibly views of one tensor.
  virtual Products Apply(const at::Tensor& x) const = 0;
};

// A linear map's tensors: weight [out, in]; bias [out], undefined where there is none. Pointers,
// so that an implementation may lay several side by side and leave views of them behind, or take
// them into a layout of its own and leave undefined tensors.
struct LinearTensors {
  at::Tensor* weight = nullptr;
  at::Tensor* bias = nullptr;
  // Not 0: results are [rows, out / head_dim, head_dim]. The same for maps that are made together.
  int64_t head_dim = 0;
};

// Cosines and sines of the rows of one pass: float32 [rows, 1, head_dim]; the first half of `sine`
// is negated, so that rotating is x * cosine + (x with its halves swapped) * sine.
struct RotaryRows {
  at::Tensor cosine;
  at::Tensor sine;
};

// The dtype of activations through which gradients flow, over weights of dtype `weights`: that one,
// or float32 on a CPU that multiplies bfloat16 numbers as float32.
at::ScalarType TrainedActivations(at::ScalarType weights, const at::Device& device);

// bfloat16 and float16 in float32; float32 and float64 as they are.
at::Tensor AtLeastFloat32(const at::Tensor& x);

// The operations of the transformer outside attention, as a seam: Standard() is ATen on any device
// with gradients, and own CPU kernels where it may choose; FixedOrder() is own CPU kernels in which
// the bits of a row depend on that row alone. Implementations are stateless and safe from any
// thread.
class Operators {
 public:
  virtual ~Operators() = default;

  // What a transformer over weights of this dtype and device should use, for which the other
  // functions are called: for Standard() without gradients on the CPU, float32 or bfloat16, own
  // kernels on float32 activations; on an NVIDIA GPU some kernels (gpu_operators.h); otherwise
  // itself.
  virtual const Operators& For(at::ScalarType dtype, const at::Device& device,
                               bool gradients) const = 0;

  // Standard keeps the named tensors where one requires a gradient.
  virtual std::unique_ptr<const Projection> MakeProjection(
      const std::vector<LinearTensors>& maps) const = 0;
  // The map to the logits, computed and returned in float32 (float64 for float64 weights): rounded
  // to bfloat16, a log-prob would be off by several per cent, differently in rollout and training.
  virtual std::unique_ptr<const Projection> MakeHead(at::Tensor* weight) const = 0;
  // A weight of norms as RmsNorm takes it with the least work, which may be another tensor.
  virtual at::Tensor NormWeight(const at::Tensor& weight) const { return weight; }
  // table [vocab, hidden], ids int64 [rows] -> [rows, hidden], a tensor of its own.
  virtual at::Tensor Embed(const at::Tensor& table, const at::Tensor& ids) const = 0;
  // x [rows, ..., n], weight [n] -> weight * x / sqrt(mean(x^2) + eps), statistics in float32 at
  // least.
  virtual at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) const = 0;
  // x + y of one shape, which may lie where x was.
  virtual at::Tensor Add(at::Tensor x, const at::Tensor& y) const = 0;
  // x = Add(x, y) where y is defined, then the RmsNorm of x: both sides of a residual connection,
  // which a device may have in one kernel.
  virtual at::Tensor AddAndNorm(at::Tensor* x, const at::Tensor& y, const at::Tensor& weight,
                                double eps) const {
    if (y.defined()) *x = Add(std::move(*x), y);
    return RmsNorm(*x, weight, eps);
  }
  // gate, up [rows, n] -> silu(gate) * up.
  virtual at::Tensor GatedSilu(const at::Tensor& gate, const at::Tensor& up) const = 0;
  // x [rows, heads, head_dim], rotated by its row's position.
  virtual at::Tensor Rotate(const at::Tensor& x, const RotaryRows& rotary) const = 0;
  // float32 [rows, n] -> natural log-probabilities, float32 [rows, n].
  virtual at::Tensor LogSoftmax(const at::Tensor& logits) const = 0;

  // "standard" or "fixed-order".
  virtual std::string_view name() const = 0;

  static const Operators& Standard();
  // float32 and bfloat16 weights; activations are float32 throughout. CPU only, no gradients.
  static const Operators& FixedOrder();
};

}  // namespace attnrl::model
