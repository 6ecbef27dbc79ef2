// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace attnrl::model {

// The products of a linear map y = x W' + b under training that have W as a factor, by the kernels
// of common/kernels; the third, its gradient, is no faster by them than LibTorch's. W changes with
// every step, so that it is packed for each product, which rows enough have to pay for. All tensors
// float32 on the CPU with dense rows; any thread; the bits don't depend on the number of threads.

// x [rows, in], weight [out, in], bias [out] or undefined -> y [rows, out].
at::Tensor MultiplyForward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// gradient of y [rows, out], weight [out, in] -> gradient of x [rows, in].
at::Tensor MultiplyBack(const at::Tensor& gradient, const at::Tensor& weight);

}  // namespace attnrl::model
