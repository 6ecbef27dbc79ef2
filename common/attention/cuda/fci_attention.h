// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <vector>

#include "common/attention/attention.h"
#include "common/attention/cuda/fci_kernels.h"
#include "common/attention/cuda/fci_tiles.h"
#include "common/attention/fci/sequence.h"
#include "common/device/upload.h"

namespace attnrl::attention {

// FciAttention (common/attention/fci/fci.h) by the kernels of a GPU: each layer's attention leaves
// the log-sum-exp of its queries, from which two more launches add up the scores of all sequences.
// One copy to the GPU before the first layer and one back after the last, for which the host waits.
// Memory for T rows: what a layer's attention takes, and 16 bytes a row and head; never T x T.
//
// Throws std::runtime_error where a launch is refused. One pass, one thread; without gradients.
class GpuFciAttention final : public Attention {
 public:
  // Whether the kernels know these heads.
  static bool Fits(int64_t head_dim, at::ScalarType dtype);

  // Arguments as of FciAttention; the kernels must outlive it.
  GpuFciAttention(const std::vector<FciSequence>& sequences, int64_t layers,
                  const FciOptions& options, at::Device device, const FciKernels& kernels);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

  // One float a step, in the order of the sequences, after the last layer.
  std::vector<std::vector<float>> Scores() const;

 private:
  template <typename T>
  cuda::LaunchError Score(const at::Tensor& q, const at::Tensor& k, const at::Tensor& lse) const;

  const int64_t layers_;
  const FciKernels& kernels_;
  std::vector<int64_t> rows_;   // of each sequence
  std::vector<int64_t> steps_;  // the same
  int64_t tile_count_ = 0;
  int64_t step_count_ = 0;
  at::Tensor tiles_, first_query_, share_, scored_steps_;  // of FciTiles, on the device
  at::Tensor scores_;                                      // float32 [all steps]
};

}  // namespace attnrl::attention
