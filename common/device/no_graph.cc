// SPDX-License-Identifier: Apache-2.0
#include "common/device/graph.h"

namespace attnrl::device {

std::unique_ptr<GraphRecorder> MakeGraphRecorder(at::Device) { return nullptr; }

}  // namespace attnrl::device
