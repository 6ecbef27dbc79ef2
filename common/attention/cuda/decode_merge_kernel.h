// SPDX-License-Identifier: Apache-2.0
#pragma once

// What decode_attend_kernel.h leaves becomes the rows' results.
#include "common/attention/cuda/decode_attend_kernel.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

// A block of threads for each row and query head, a thread for each element.
template <typename T, int kHeadDim>
struct DecodeMerge {
  using Arguments = PagedDecode<T>;
  struct Shared {};
  static constexpr int kThreads = kHeadDim;

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    const int64_t row = a.merged == nullptr ? cuda::BlockX() : a.merged[cuda::BlockX()];
    const int64_t head = cuda::BlockY();
    const int32_t first = a.first_part[row];
    const int32_t last = a.first_part[row + 1];
    float largest = kNoKey;
    for (int32_t p = first; p < last; ++p) {
      largest = cuda::Most(largest, a.part_largest[int64_t{a.part_of[p]} * a.heads + head]);
    }
    float sum = 0;
    float out = 0;
    for (int32_t p = first; p < last; ++p) {
      const int64_t part = int64_t{a.part_of[p]} * a.heads + head;
      const float factor = cuda::Exp2(a.part_largest[part] - largest);
      sum += a.part_sum[part] * factor;
      out += a.part_out[part * kHeadDim + cuda::ThreadIndex()] * factor;
    }
    const int64_t to = row * a.heads + head;
    a.out[to * kHeadDim + cuda::ThreadIndex()] = cuda::FromFloat<T>(out / sum);
    if (a.lse != nullptr && cuda::ThreadIndex() == 0) {
      a.lse[to] = largest * cuda::kLn2 + cuda::Log(sum);
    }
    if (a.scored != nullptr && a.scored_of[row] >= 0) {
      AddSteps(a, a.scored[a.scored_of[row]], head, largest, sum);
    }
  }

 private:
  ATTNRL_DEVICE static void AddSteps(const Arguments& a, const DecodeScoredRow& row, int64_t head,
                                     float largest, float sum) {
    const int32_t* const ends = a.ends + row.first_end;
    const StepPiece* const pieces = a.step_pieces + head * a.step_pieces_a_head + row.first_piece;
    float* const sums = row.sums + (a.layer * int64_t{a.heads} + head) * row.stride;
    for (int32_t step = cuda::ThreadIndex(); step < row.steps; step += kThreads) {
      const int32_t begin = step == 0 ? row.first_key : ends[step - 1];
      const int32_t from = begin / kBlockTokens - row.first_key / kBlockTokens;
      const int32_t to = (ends[step] - 1) / kBlockTokens - row.first_key / kBlockTokens;
      float weight = 0;
      for (int32_t stretch = from; stretch <= to; ++stretch) {
        const StepPiece& piece = pieces[stretch + step];
        weight += piece.sum * cuda::Exp2(piece.largest - largest);
      }
      sums[step] += weight / sum;
    }
  }
};

}  // namespace attnrl::attention
