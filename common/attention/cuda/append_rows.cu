// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/append_rows.h"
#include "common/attention/cuda/append_rows_kernel.h"
#include "common/kernels/cuda/launch.cuh"

namespace attnrl::attention {

template <typename T>
cuda::LaunchError LaunchAppendRows(const AppendRows<T>& pass, int64_t rows, cuda::Stream stream) {
  return cuda::Launch<AppendRowsKernel<T>>(rows, 1, pass, stream);
}

template cuda::LaunchError LaunchAppendRows(const AppendRows<float>&, int64_t, cuda::Stream);
template cuda::LaunchError LaunchAppendRows(const AppendRows<cuda::BFloat16>&, int64_t,
                                            cuda::Stream);

}  // namespace attnrl::attention
