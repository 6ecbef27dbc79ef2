// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace attnrl::model {

// What a layer computes row by row between its products, with gradients, by the kernels of
// common/kernels: one loop over the rows in each direction; nothing wider than inputs and results
// is kept. float32 or bfloat16 on the CPU; computed in float32, results and gradients rounded
// once to the dtype of what they belong to. Any thread; the bits don't depend on the number of
// threads.

// x [..., n], weight [n] -> weight * x / sqrt(mean(x^2) + eps), dense.
at::Tensor TrainedRmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);

// x + y, both [rows, n], and its RmsNorm.
std::pair<at::Tensor, at::Tensor> TrainedAddAndNorm(const at::Tensor& x, const at::Tensor& y,
                                                    const at::Tensor& weight, double eps);

// gate, up [rows, n] -> silu(gate) * up.
at::Tensor TrainedGatedSilu(const at::Tensor& gate, const at::Tensor& up);

// x [rows, heads, n] -> x * cosine + (x with its halves swapped) * sine, both float32 [rows, 1, n];
// the first half of sine is minus the second.
at::Tensor TrainedRotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);

}  // namespace attnrl::model
