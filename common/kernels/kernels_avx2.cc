// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/product_body.h"
#include "common/kernels/row_body.h"

namespace attnrl::kernels {

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = {Multiply, RmsNorm, AddTo, GatedSiluOf, Rotate, LogSoftmax};

}  // namespace attnrl::kernels
