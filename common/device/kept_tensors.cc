// SPDX-License-Identifier: Apache-2.0
#include "common/device/kept_tensors.h"

#include <ATen/EmptyTensor.h>
#include <c10/core/TensorImpl.h>
#include <c10/util/accumulate.h>

#include <numeric>

namespace attnrl::device {
namespace {

thread_local KeptTensors* used = nullptr;

// Makes `part` a view of the columns [first, first + width) of `whole`.
void SetPart(const at::Tensor& whole, int64_t first, int64_t width, int64_t split,
             at::Tensor* part) {
  if (!part->defined()) {
    // Not by an operation: outside of inference mode a view of one holds `whole`.
    *part = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(whole.storage()), whole.key_set(),
                                                     whole.dtype());
  }
  c10::TensorImpl* const record = part->unsafeGetTensorImpl();
  const int64_t rows = whole.size(0);
  const int64_t stride = whole.stride(0);
  if (split == 0) {
    record->set_sizes_and_strides(std::array{rows, width}, std::array{stride, int64_t{1}}, first);
  } else {
    record->set_sizes_and_strides(std::array{rows, width / split, split},
                                  std::array{stride, split, int64_t{1}}, first);
  }
}

}  // namespace

KeptTensors::Use::Use(KeptTensors& kept) {
  TORCH_CHECK(used == nullptr, "tensors of two objects on one thread at a time");
  used = &kept;
}
KeptTensors::Use::~Use() { used = nullptr; }

at::Tensor KeptTensors::Empty(at::IntArrayRef sizes, at::ScalarType type) {
  // Without a search for the function, which takes as long as a small kernel.
  if (used == nullptr) return at::detail::empty_cpu(sizes, type);
  const at::Tensor& whole = used->Find(c10::multiply_integers(sizes), type).whole;
  whole.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return whole;
}

KeptTensors::Parts KeptTensors::EmptyParts(int64_t rows, std::span<const int64_t> widths,
                                           int64_t split) {
  TORCH_CHECK(widths.size() <= kMostParts, widths.size(), " parts, ", kMostParts, " at most");
  const int64_t sum = std::accumulate(widths.begin(), widths.end(), int64_t{0});
  const std::array sizes = {rows, sum};
  Parts made;
  if (used == nullptr) made.whole = at::detail::empty_cpu(sizes, at::kFloat);
  Parts& parts = used == nullptr ? made : used->Find(rows * sum, at::kFloat);
  parts.whole.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  Parts wanted = {.whole = parts.whole, .parts = {}};
  int64_t first = 0;
  for (size_t i = 0; i < widths.size(); ++i) {
    SetPart(parts.whole, first, widths[i], split, &parts.parts[i]);
    wanted.parts[i] = parts.parts[i];
    first += widths[i];
  }
  return wanted;
}

// Others may have views of their own, which hold the memory without holding a tensor of ours.
bool KeptTensors::Kept::IsFree() const {
  size_t ours = 1;
  for (const at::Tensor& part : tensors.parts) {
    if (!part.defined()) continue;
    if (part.use_count() > 1) return false;
    ++ours;
  }
  return tensors.whole.use_count() == 1 && tensors.whole.storage().use_count() == ours;
}

// Of those that are free the smallest that is large enough; or else the largest, which is made
// larger, so that the others stay small.
KeptTensors::Parts& KeptTensors::Find(int64_t elements, at::ScalarType type) {
  Kept* best = nullptr;
  for (Kept& kept : all_) {
    // One without a tensor is what an allocation that failed has left.
    const bool none = !kept.tensors.whole.defined();
    if (!none && (kept.tensors.whole.scalar_type() != type || !kept.IsFree())) continue;
    const bool fits = kept.capacity >= elements;
    const bool best_fits = best != nullptr && best->capacity >= elements;
    const bool smaller = best != nullptr && kept.capacity < best->capacity;
    if (best == nullptr || (fits == best_fits ? smaller == fits : fits)) best = &kept;
  }
  if (best == nullptr) best = &all_.emplace_back();
  if (!best->tensors.whole.defined() || best->capacity < elements) {
    best->tensors = {};  // first, so that both aren't there at once
    best->capacity = 0;
    best->tensors.whole = at::detail::empty_cpu({elements}, type);
    best->capacity = elements;
  }
  return best->tensors;
}

}  // namespace attnrl::device
