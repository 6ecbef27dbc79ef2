// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/gradient_body.h"
#include "common/kernels/product_body.h"
#include "common/kernels/row_body.h"
#include "common/kernels/transpose_body.h"

namespace attnrl::kernels {

extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = {Multiply,          RmsNorm, AddTo,     GatedSiluOf, RmsNormGradient,
                                GatedSiluGradient, Rotate,  Transpose, LogSoftmax};

}  // namespace attnrl::kernels
