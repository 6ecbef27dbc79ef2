// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/model/files/weights.h"

namespace attnrl::learner {

// The trainable parameters of a model: float32 masters, their gradient and both AdamW moments, each
// one flat tensor, and the leaves that a Transformer computes with. Tensors lie in byte order of
// their names, each padded with zeros to a multiple of 16 elements, so that every one starts on a
// cache line. Where the compute dtype is float32 the leaves share the masters' memory; otherwise
// they are cast copies that Refresh brings up to date.
//
// A training step: ZeroGradient; for each pass and layer {backward; AddGradients}; an optimizer
// changes values(); Refresh. Used by one thread. Memory: 16 bytes a parameter, plus a bfloat16 copy
// and the gradients that weren't added yet.
class Parameters {
 public:
  // Copies `weights` (any dtype), on the device on which they lie.
  Parameters(const model::Tensors& weights, model::DType compute);

  // Leaf tensors of the compute dtype that require a gradient, by name.
  const model::Tensors& leaves() const { return leaves_; }

  // Adds the gradients that leaves have to gradient() in float32 and drops them.
  void AddGradients();
  // The part of gradient() that belongs to one tensor, in its shape; shares its memory.
  at::Tensor GradientOf(const std::string& name) const;
  void ZeroGradient();
  // Copies the masters into the leaves.
  void Refresh();

  // Flat float32 [padded count].
  at::Tensor& values() { return values_; }
  at::Tensor& gradient() { return gradient_; }
  at::Tensor& first_moment() { return first_moment_; }
  at::Tensor& second_moment() { return second_moment_; }

  // By name, float32, copies without padding: for checkpoints and --dump-grads.
  model::Tensors Named(const at::Tensor& flat) const;
  // The inverse of Named; false when names or shapes differ (nothing is changed then).
  bool Assign(const model::Tensors& named, at::Tensor& flat) const;
  // The masters rounded to the compute dtype: what is published. Own memory.
  model::Tensors Published() const;

  // Part of the flat tensors: neighbouring tensors that are all matrices, or all vectors (the
  // weights of norms, and biases), with their padding.
  struct Run {
    int64_t offset;
    int64_t count;
    bool matrices;
  };
  std::vector<Run> Runs() const;

  // Parameters without padding.
  int64_t count() const { return count_; }

 private:
  struct Slice {
    std::string name;
    std::vector<int64_t> shape;
    int64_t offset;
    int64_t count;
  };

  at::Tensor View(const at::Tensor& flat, const Slice& slice) const;

  model::DType compute_;
  std::vector<Slice> slices_;
  int64_t count_ = 0;
  at::Tensor values_;
  at::Tensor gradient_;
  at::Tensor first_moment_;
  at::Tensor second_moment_;
  model::Tensors leaves_;
};

}  // namespace attnrl::learner
