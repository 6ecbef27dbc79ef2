// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include "common/observe/build.h"
#include "common/observe/metric_labels.h"

namespace attnrl::observe {

std::string_view CudaOfBuild() {
  static_assert(CUDART_VERSION / 1000 == 13, "metric_labels.h names another CUDA");
  return label_values::kCuda[1];
}

}  // namespace attnrl::observe
