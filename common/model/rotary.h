// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "common/model/files/config.h"
#include "common/model/operators.h"

namespace attnrl::model {

// The rotary embedding of every position below config.max_position_embeddings (RoFormer,
// arXiv 2104.09864, with the halves layout of Hugging Face): rows p of cosine and sine are those of
// position p. Angles are float32 products, as the models were trained with. One table a process for
// each setting, however many versions of the weights are held. Thread-safe.
std::shared_ptr<const RotaryRows> RotaryTable(const ModelConfig& config, const at::Device& device);

}  // namespace attnrl::model
