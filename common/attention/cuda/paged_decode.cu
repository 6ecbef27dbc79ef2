// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/decode_attend_kernel.h"
#include "common/attention/cuda/decode_merge_kernel.h"
#include "common/attention/cuda/paged_decode.h"
#include "common/kernels/cuda/launch.cuh"

namespace attnrl::attention {
namespace {

template <typename T, int kHeadDim>
cuda::LaunchError LaunchBoth(const PagedDecode<T>& pass, int64_t units, int64_t rows,
                             cuda::Stream stream) {
  if (auto error = cuda::Launch<DecodeAttend<T, kHeadDim>>(units, pass.kv_heads, pass, stream)) {
    return error;
  }
  return cuda::Launch<DecodeMerge<T, kHeadDim>>(rows, pass.heads, pass, stream);
}

}  // namespace

template <typename T>
cuda::LaunchError LaunchPagedDecode(const PagedDecode<T>& pass, int64_t units, int64_t rows,
                                    int64_t head_dim, cuda::Stream stream) {
  if (pass.heads > pass.kv_heads * kDecodeQueries) {
    return "paged decode: more than 16 query heads a key head";
  }
  switch (head_dim) {
    case 64:
      return LaunchBoth<T, 64>(pass, units, rows, stream);
    case 128:
      return LaunchBoth<T, 128>(pass, units, rows, stream);
    default:
      return "paged decode: the head size is neither 64 nor 128";
  }
}

template cuda::LaunchError LaunchPagedDecode(const PagedDecode<float>&, int64_t, int64_t, int64_t,
                                             cuda::Stream);
template cuda::LaunchError LaunchPagedDecode(const PagedDecode<cuda::BFloat16>&, int64_t, int64_t,
                                             int64_t, cuda::Stream);

}  // namespace attnrl::attention
