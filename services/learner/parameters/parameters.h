// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/files/weights.h"
#include "services/learner/parameters/flat_layout.h"
#include "services/learner/parameters/gradient_sum.h"
#include "services/learner/parameters/lora.h"
#include "services/learner/ranks/rank_group.h"

namespace attnrl::learner {

// The trainable parameters of a model: float32 masters, their gradient and both AdamW moments, each
// one flat tensor in FlatLayout's order, and the leaves that a Transformer computes with. Of
// several ranks each has all leaves and its shard of the rest (ZeRO stage 2). Where the compute
// dtype is float32 and there is one rank, the leaves share the masters' memory; otherwise they are
// cast copies that Refresh brings up to date.
//
// A training step: ZeroGradient; for each pass {for each layer {backward; AddGradients;
// gradient_sum().Complete}; gradient_sum().EndPass}; an optimizer changes values(); Refresh. Used
// by one thread. Memory: 16 bytes a parameter over the ranks, plus the leaves where they are
// copies, and the gradients that weren't added yet; 8 of the 16 are the host's where moments lie
// there.
class Parameters {
 public:
  // Where both moments lie: with the weights, or in the memory of the host.
  enum class Moments { kOnDevice, kOnHost };

  // Copies `weights` (any dtype), on the device on which they lie; all ranks give the same. They
  // are dropped before gradient and moments are made, which on the host take memory where they were
  // written. The gradient of a minibatch is made in `parts`, a multiple of the ranks (0: as many).
  // With a rank in `lora` adapters are trained in place of the weights: they are what the flat
  // tensors hold; the leaves are the merged weights, of which only those with adapters require a
  // gradient.
  Parameters(model::Tensors weights, model::DType compute, RankGroup* group = nullptr,
             int parts = 0, const LoraOptions& lora = {}, Moments moments = Moments::kOnDevice);

  const FlatLayout& layout() const { return layout_; }
  RankGroup* group() const { return group_; }  // null: this process is alone
  bool adapted() const { return lora_.has_value(); }

  // Leaf tensors of the compute dtype, by name; those that are trained require a gradient.
  const model::Tensors& leaves() const { return leaves_; }

  // Adds the gradients that leaves have to the pass's in float32 and drops them.
  void AddGradients();
  // Where a pass adds its gradient of one leaf; undefined: it isn't trained.
  at::Tensor GradientOf(const std::string& name);
  GradientSum& gradient_sum() { return *sum_; }
  void ZeroGradient();
  // Copies the masters into the leaves; all ranks together.
  void Refresh();

  // Flat float32 [layout().shard()].
  at::Tensor& values() { return values_; }
  at::Tensor& gradient() { return gradient_; }
  at::Tensor& first_moment() { return first_moment_; }
  at::Tensor& second_moment() { return second_moment_; }

  // Calls `take` with every tensor of a bucket, float32 and without padding, in byte order of the
  // names; they are views of what is freed or changed afterwards. All ranks together; `take` is
  // called on rank 0 alone.
  using Take = std::function<void(const std::string&, const at::Tensor&)>;
  void ForEachIn(const FlatLayout::Bucket& bucket, const at::Tensor& flat, const Take& take) const;
  // All tensors by name, in copies; those of other ranks are empty.
  model::Tensors Named(const at::Tensor& flat) const;
  // Whether Assign could read tensors of these names and shapes: all are the model's.
  using Shapes = std::map<std::string, std::vector<int64_t>>;
  bool Fits(const Shapes& shapes) const;
  // The inverse of Named: rank 0 reads one tensor after the other, all of which fit, and hands them
  // to all. The first error of `read`, after which the other ranks wait for what won't come. Memory
  // besides: one tensor, and of several ranks one bucket.
  using Read = std::function<absl::StatusOr<at::Tensor>(const std::string& name)>;
  absl::Status Assign(const Read& read, at::Tensor& flat) const;
  // The leaves: what is published. In memory of the host and of its own, where they come in one
  // copy.
  model::Tensors Published() const;
  // The same without a copy where the leaves lie on the host: valid until the next Refresh.
  model::Tensors OnHost() const { return values_.is_cpu() ? leaves_ : Published(); }

 private:
  void Make(const model::Tensors& trained);  // values_ and computed_
  void MakeLeaves(const model::Tensors& weights);
  void MergeAdapters();

  // The rank's part of a bucket.
  at::Tensor PartOf(const FlatLayout::Bucket& bucket, const at::Tensor& flat) const;
  // The whole bucket of a flat tensor on rank 0; undefined on the others.
  at::Tensor GatherBucket(const at::Tensor& flat, const FlatLayout::Bucket& bucket) const;
  // Of several ranks this one's part of a bucket, which rank 0 has whole.
  void ScatterBucket(const at::Tensor& whole, const at::Tensor& part) const;

  const model::DType compute_;
  RankGroup* const group_;
  const std::optional<Lora> lora_;
  const FlatLayout layout_;
  at::Tensor values_;
  at::Tensor gradient_;
  at::Tensor first_moment_;
  at::Tensor second_moment_;
  // Flat, whole: in the compute dtype, adapters in float32; may be values_.
  at::Tensor computed_;
  model::Tensors leaves_;
  std::optional<GradientSum> sum_;
};

}  // namespace attnrl::learner
