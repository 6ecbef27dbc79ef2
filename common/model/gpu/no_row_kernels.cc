// SPDX-License-Identifier: Apache-2.0
#include "common/model/gpu/row_kernels.h"

namespace attnrl::model {

const RowKernels* GpuRowKernels() { return nullptr; }

}  // namespace attnrl::model
