// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/packed_matrix.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "common/kernels/large_pages.h"

namespace attnrl::kernels {
namespace {

// Pages of their own, large ones where the system has them.
void* MapZeros(size_t bytes) {
  void* start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  AskForLargePages(start, bytes);
  return start;
}

}  // namespace

void PackedMatrix::Unmap::operator()(void* start) const { ::munmap(start, bytes); }

PackedMatrix::PackedMatrix(Type type, int64_t out, int64_t in)
    : type_(type),
      out_(out),
      in_(in),
      memory_(nullptr, Unmap{static_cast<size_t>(std::max(bytes(), int64_t{1}))}) {
  memory_.reset(MapZeros(memory_.get_deleter().bytes));
}

PackedView PackedMatrix::view() const {
  PackedView view = {.out = out_, .in = in_, .panel_words = PanelWords()};
  if (type_ == Type::kFloat32) {
    view.float32 = static_cast<const float*>(memory_.get());
  } else {
    view.bfloat16_pairs = static_cast<const uint32_t*>(memory_.get());
  }
  return view;
}

int64_t PackedMatrix::PanelWords() const {
  return kPanel * (type_ == Type::kFloat32 ? in_ : PairsOf(in_));
}

int64_t PackedMatrix::bytes() const {
  return panels() * PanelWords() * static_cast<int64_t>(sizeof(float));
}

void PackedMatrix::Fill(int64_t first_out, int64_t count, const float* weight) {
  auto* const words = static_cast<float*>(memory_.get());
  for (int64_t row = 0; row < count; ++row) {
    const int64_t o = first_out + row;
    float* const target = words + o / kPanel * PanelWords() + o % kPanel;
    for (int64_t i = 0; i < in_; ++i) target[i * kPanel] = weight[row * in_ + i];
  }
}

void PackedMatrix::Fill(int64_t first_out, int64_t count, const uint16_t* weight) {
  auto* const words = static_cast<uint32_t*>(memory_.get());
  for (int64_t row = 0; row < count; ++row) {
    const int64_t o = first_out + row;
    uint32_t* const target = words + o / kPanel * PanelWords() + o % kPanel;
    for (int64_t i = 0; i < in_; ++i) {
      target[i / 2 * kPanel] |= static_cast<uint32_t>(weight[row * in_ + i]) << (i % 2 * 16);
    }
  }
}

}  // namespace attnrl::kernels
