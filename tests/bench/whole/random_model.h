// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>

#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/text/steps.h"

namespace attnrl::bench {

// Weights of this shape as they are drawn before training, the same in every run; norms are 1,
// biases 0.
model::Tensors DrawWeights(const model::ModelConfig& config, at::Device device);

// Cuts responses of random tokens into lines: of the ids below `vocabulary`, one in 64 ends one.
std::shared_ptr<const text::StepSegmenter> MakeLines(int64_t vocabulary);

}  // namespace attnrl::bench
