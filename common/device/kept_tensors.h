// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace attnrl::device {

// Tensors on the CPU that stay when nobody holds them any more and are handed out again, so that a
// pass of a size that was there before asks for no memory, not even for the records of its tensors.
// As many as were held at once, each as large as the largest that it was handed out for.
//
//   KeptTensors kept;                  // of a thread that runs pass after pass
//   const KeptTensors::Use use(kept);  // while one runs
//   const at::Tensor x = KeptTensors::Empty({rows, n}, at::kFloat);
//
// What is handed out may outlive the object. One thread.
class KeptTensors {
 public:
  // While it lives, Empty and EmptyParts on this thread hand out of `kept`. One at a time.
  class Use {
   public:
    explicit Use(KeptTensors& kept);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };

  // Dense, with any content; a new tensor on a thread that uses no object.
  static at::Tensor Empty(at::IntArrayRef sizes, at::ScalarType type);

  static constexpr size_t kMostParts = 3;
  // A tensor of Empty, [rows, sum of widths] of float32, and views of its columns, one for each of
  // the widths, [rows, width]; where `split` isn't 0, [rows, width / split, split].
  struct Parts {
    at::Tensor whole;
    std::array<at::Tensor, kMostParts> parts;
  };
  static Parts EmptyParts(int64_t rows, std::span<const int64_t> widths, int64_t split);

 private:
  struct Kept {
    Parts tensors;         // parts where they were ever asked for
    int64_t capacity = 0;  // of `whole`, in elements

    bool IsFree() const;
  };

  Parts& Find(int64_t elements, at::ScalarType type);

  std::vector<Kept> all_;
};

}  // namespace attnrl::device
