// SPDX-License-Identifier: Apache-2.0
#pragma once

struct CUstream_st;

namespace attnrl::cuda {

// A queue of a GPU, as the CUDA runtime's cudaStream_t.
using Stream = CUstream_st*;

// What a launch gives back: null, or in the driver's words why it was refused. Whether the kernel
// ended well is known once its stream was waited for.
using LaunchError = const char*;

}  // namespace attnrl::cuda
