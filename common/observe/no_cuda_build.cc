// SPDX-License-Identifier: Apache-2.0
#include "common/observe/build.h"
#include "common/observe/metric_labels.h"

namespace attnrl::observe {

std::string_view CudaOfBuild() { return label_values::kCuda[0]; }

}  // namespace attnrl::observe
