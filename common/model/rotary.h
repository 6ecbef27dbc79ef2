// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "common/model/files/config.h"
#include "common/model/operators.h"

namespace attnrl::model {

// The inverse frequency of each pair of a head, head_dim / 2 of them, as config.rope_scaling has
// it: linear divides all, llama3 those of long waves, with a smooth passage, and yarn (arXiv
// 2309.00071) those that turn seldom within the original context.
std::vector<double> RotaryFrequencies(const ModelConfig& config);

// The rotary embedding of every position below config.max_position_embeddings (RoFormer,
// arXiv 2104.09864, with the halves layout of Hugging Face): rows p of cosine and sine are those of
// position p, times the scaling's factor of attention. Angles are float32 products, as the models
// were trained with. One table a process for each setting, however many versions of the weights are
// held. Thread-safe.
std::shared_ptr<const RotaryRows> RotaryTable(const ModelConfig& config, const at::Device& device);

// The rows of such a table at positions int64 [rows].
RotaryRows RotaryAt(const RotaryRows& table, const at::Tensor& positions);

}  // namespace attnrl::model
