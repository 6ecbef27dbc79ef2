// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/parameters.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <sys/mman.h>

#include <algorithm>
#include <deque>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/model/files/weights.h"

namespace attnrl::learner {
namespace {

using Bucket = FlatLayout::Bucket;
using Slice = FlatLayout::Slice;

// Buckets of new weights on their way at once.
constexpr size_t kMostInFlight = 4;

std::map<std::string, std::vector<int64_t>> ShapesOf(const model::Tensors& weights) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, tensor] : weights) shapes[name] = tensor.sizes().vec();
  return shapes;
}

Sharding ShardingOf(const RankGroup* group, int parts) {
  if (group == nullptr) return {.parts = parts == 0 ? 1 : parts};
  return {group->rank(), group->size(), parts == 0 ? group->size() : parts};
}

at::Tensor View(const at::Tensor& flat, const Slice& slice, int64_t base = 0) {
  return flat.narrow(0, slice.offset - base, slice.count).view(slice.shape);
}

// On the host memory of its own, of which the system makes a page when it is written first.
at::Tensor Zeros(int64_t count, at::ScalarType dtype, at::Device device) {
  const at::TensorOptions options = at::TensorOptions(dtype).device(device);
  if (!device.is_cpu() || count == 0) return at::zeros({count}, options);
  const size_t bytes = static_cast<size_t>(count) * c10::elementSize(dtype);
  void* const pages =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    throw std::runtime_error(absl::StrCat("not enough memory for ", bytes, " bytes"));
  }
  return at::from_blob(
      pages, {count}, [bytes](void* begin) { ::munmap(begin, bytes); }, options);
}

// From pinned memory a GPU reads without the host's help.
at::Tensor MomentOf(const at::Tensor& values, Parameters::Moments moments) {
  if (moments == Parameters::Moments::kOnHost && device::PinsMemoryFor(values.device())) {
    return at::zeros(values.sizes(), at::TensorOptions(at::kFloat).pinned_memory(true));
  }
  return Zeros(values.numel(), at::kFloat,
               moments == Parameters::Moments::kOnHost ? at::kCPU : values.device());
}

// On the host, in memory of its own. Waits for the device.
at::Tensor CopyOnHost(const at::Tensor& tensor) {
  at::Tensor copy =
      at::empty(tensor.sizes(), at::TensorOptions(tensor.scalar_type())
                                    .pinned_memory(device::PinsMemoryFor(tensor.device())));
  return copy.copy_(tensor.detach());
}

}  // namespace

Parameters::Parameters(model::Tensors weights, model::DType compute, RankGroup* group, int parts,
                       const LoraOptions& lora, Moments moments)
    : compute_(compute),
      group_(group),
      lora_(lora.rank > 0 ? std::optional<Lora>(std::in_place, weights, lora) : std::nullopt),
      layout_(lora_.has_value() ? lora_->Shapes() : ShapesOf(weights), ShardingOf(group, parts)) {
  at::NoGradGuard no_grad;
  Make(lora_.has_value() ? lora_->Initial() : weights);
  MakeLeaves(weights);
  weights.clear();
  ReturnFreedMemory();
  // Only now, in the room of the weights.
  gradient_ = Zeros(layout_.shard(), at::kFloat, values_.device());
  first_moment_ = MomentOf(values_, moments);
  second_moment_ = MomentOf(values_, moments);
  sum_.emplace(layout_, group, gradient_);
}

void Parameters::Make(const model::Tensors& trained) {
  const at::Device device = trained.empty() ? at::kCPU : trained.begin()->second.device();
  values_ = Zeros(layout_.shard(), at::kFloat, device);
  for (const Bucket& bucket : layout_.buckets()) {
    const int64_t own = layout_.OwnCount(bucket);
    const int64_t begin = bucket.offset + layout_.sharding().rank * own;
    for (size_t i = bucket.first; i < bucket.last; ++i) {
      const Slice& slice = layout_.slices()[i];
      const int64_t from = std::max(slice.offset, begin);
      const int64_t count = std::min(slice.offset + slice.count, begin + own) - from;
      if (count <= 0) continue;
      values_.narrow(0, layout_.OwnOffset(bucket) + from - begin, count)
          .copy_(trained.at(slice.name).reshape({-1}).narrow(0, from - slice.offset, count));
    }
  }
  const at::ScalarType type = lora_.has_value() ? at::kFloat : model::ToScalarType(compute_);
  const bool shares = type == at::kFloat && group_ == nullptr;
  computed_ = shares ? values_ : Zeros(layout_.padded(), type, device);
  for (const Slice& slice : layout_.slices()) {
    if (!shares) View(computed_, slice).copy_(trained.at(slice.name));
  }
}

void Parameters::MakeLeaves(const model::Tensors& weights) {
  for (const auto& [name, weight] : weights) {
    if (!lora_.has_value()) {
      leaves_[name] = View(computed_, *layout_.Find(name)).detach().set_requires_grad(true);
    } else if (lora_->Targets(name)) {
      // B is zero: the merged weight is the weight.
      leaves_[name] = weight.detach().to(model::ToScalarType(compute_), false, true);
      leaves_[name].set_requires_grad(true);
    } else {
      leaves_[name] = weight.detach().to(model::ToScalarType(compute_));
    }
  }
}

void Parameters::AddGradients() {
  at::NoGradGuard no_grad;
  for (auto& [name, leaf] : leaves_) {
    at::Tensor& gradient = leaf.mutable_grad();
    if (!gradient.defined()) continue;
    if (lora_.has_value()) {
      const Slice& a = *layout_.Find(Lora::NameOfA(name));
      const Slice& b = *layout_.Find(Lora::NameOfB(name));
      lora_->AddGradient(gradient, View(computed_, a), View(computed_, b), sum_->Of(a),
                         sum_->Of(b));
    } else {
      GradientOf(name).add_(gradient);
    }
    gradient = at::Tensor();
  }
}

at::Tensor Parameters::GradientOf(const std::string& name) {
  const Slice* slice = layout_.Find(name);
  return slice == nullptr ? at::Tensor() : sum_->Of(*slice);
}

void Parameters::ZeroGradient() { gradient_.zero_(); }

void Parameters::Refresh() {
  at::NoGradGuard no_grad;
  const Sharding& sharding = layout_.sharding();
  std::deque<Gather> in_flight;  // while the next buckets are rounded
  for (const Bucket& bucket : layout_.buckets()) {
    if (computed_.is_same(values_)) break;
    const int64_t own = layout_.OwnCount(bucket);
    const at::Tensor rows =
        computed_.narrow(0, bucket.offset, bucket.count).view({sharding.ranks, own});
    rows[sharding.rank].copy_(PartOf(bucket, values_));
    if (group_ == nullptr) continue;
    in_flight.emplace_back(*group_, rows);
    if (in_flight.size() <= kMostInFlight) continue;
    in_flight.front().Wait();
    in_flight.pop_front();
  }
  for (Gather& gather : in_flight) gather.Wait();
  if (lora_.has_value()) MergeAdapters();
}

void Parameters::MergeAdapters() {
  for (auto& [name, leaf] : leaves_) {
    if (!lora_->Targets(name)) continue;
    const at::Tensor a = View(computed_, *layout_.Find(Lora::NameOfA(name)));
    const at::Tensor b = View(computed_, *layout_.Find(Lora::NameOfB(name)));
    leaf.copy_(lora_->Merged(name, a, b));
  }
}

at::Tensor Parameters::PartOf(const Bucket& bucket, const at::Tensor& flat) const {
  return flat.narrow(0, layout_.OwnOffset(bucket), layout_.OwnCount(bucket));
}

at::Tensor Parameters::GatherBucket(const at::Tensor& flat, const Bucket& bucket) const {
  const int64_t own = layout_.OwnCount(bucket);
  const at::Tensor part = PartOf(bucket, flat);
  if (group_ == nullptr) return part;
  if (group_->rank() != 0) {
    group_->Send(part, 0)->Wait();
    return {};
  }
  at::Tensor whole = at::empty({bucket.count}, flat.options());
  whole.narrow(0, 0, own).copy_(part);
  for (int rank = 1; rank < group_->size(); ++rank) {
    group_->Receive(whole.narrow(0, rank * own, own), rank)->Wait();
  }
  return whole;
}

void Parameters::ScatterBucket(const at::Tensor& whole, const at::Tensor& part) const {
  const int64_t own = part.numel();
  if (group_->rank() != 0) return group_->Receive(part, 0)->Wait();
  part.copy_(whole.narrow(0, 0, own));
  for (int rank = 1; rank < group_->size(); ++rank) {
    group_->Send(whole.narrow(0, rank * own, own), rank)->Wait();
  }
}

void Parameters::ForEachIn(const Bucket& bucket, const at::Tensor& flat, const Take& take) const {
  at::NoGradGuard no_grad;
  const at::Tensor whole = GatherBucket(flat, bucket);
  if (!whole.defined()) return;
  for (size_t i = bucket.first; i < bucket.last; ++i) {
    const Slice& slice = layout_.slices()[i];
    take(slice.name, View(whole, slice, bucket.offset));
  }
}

model::Tensors Parameters::Named(const at::Tensor& flat) const {
  model::Tensors named;
  for (const Bucket& bucket : layout_.buckets()) {
    ForEachIn(bucket, flat, [&named](const std::string& name, const at::Tensor& tensor) {
      named[name] = tensor.clone();
    });
  }
  return named;
}

bool Parameters::Fits(const Shapes& shapes) const {
  if (shapes.size() != layout_.slices().size()) return false;
  for (const Slice& slice : layout_.slices()) {
    const auto found = shapes.find(slice.name);
    if (found == shapes.end() || found->second != slice.shape) return false;
  }
  return true;
}

absl::Status Parameters::Assign(const Read& read, at::Tensor& flat) const {
  at::NoGradGuard no_grad;
  for (const Bucket& bucket : layout_.buckets()) {
    const at::Tensor part = PartOf(bucket, flat);
    at::Tensor whole = part;
    if (group_ != nullptr) {
      whole = group_->rank() == 0 ? at::zeros({bucket.count}, flat.options()) : at::Tensor();
    }
    for (size_t i = bucket.first; whole.defined() && i < bucket.last; ++i) {
      const Slice& slice = layout_.slices()[i];
      ATTNRL_ASSIGN_OR_RETURN(const at::Tensor tensor, read(slice.name));
      View(whole, slice, bucket.offset).copy_(tensor);
    }
    if (group_ != nullptr) ScatterBucket(whole, part);
  }
  return absl::OkStatus();
}

model::Tensors Parameters::Published() const {
  at::NoGradGuard no_grad;
  model::Tensors published;
  if (lora_.has_value()) {
    for (const auto& [name, leaf] : leaves_) published[name] = CopyOnHost(leaf);
    return published;
  }
  const at::Tensor copy = CopyOnHost(computed_);
  for (const Slice& slice : layout_.slices()) published[slice.name] = View(copy, slice);
  return published;
}

}  // namespace attnrl::learner
