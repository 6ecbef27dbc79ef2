// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "common/kernels/kernels.h"

namespace attnrl::kernels {

// The memory of a PackedView. In bfloat16 two weights share a word because a shift and a mask then
// make two floats of it (and dot-product instructions read such pairs). Immutable once filled; any
// thread may read. Moved, never copied.
class PackedMatrix {
 public:
  static constexpr int64_t kPanel = 16;
  enum class Type { kFloat32, kBFloat16 };

  // All zeros. Throws std::bad_alloc.
  PackedMatrix(Type type, int64_t out, int64_t in);

  // Fills outputs [first_out, first_out + count) from dense rows weight [count, in]; bfloat16 as
  // its 16 bits, in the type of the matrix.
  void Fill(int64_t first_out, int64_t count, const float* weight);
  void Fill(int64_t first_out, int64_t count, const uint16_t* weight);

  Type type() const { return type_; }
  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  int64_t panels() const { return (out_ + kPanel - 1) / kPanel; }
  int64_t bytes() const;
  // Valid as long as this or what it is moved into.
  PackedView view() const;

 private:
  struct Unmap {
    size_t bytes = 0;
    void operator()(void* start) const;
  };

  int64_t PanelWords() const;

  Type type_;
  int64_t out_;
  int64_t in_;
  std::unique_ptr<void, Unmap> memory_;
};

}  // namespace attnrl::kernels
