// SPDX-License-Identifier: Apache-2.0
#include "common/model/flops.h"

namespace attnrl::model {

double ForwardFlops(const ModelConfig& config, const ForwardWork& work) {
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto queries = static_cast<double>(config.heads * config.head_dim);
  const auto keys = static_cast<double>(config.kv_heads * config.head_dim);
  const auto inner = static_cast<double>(config.intermediate_size);
  // Queries and output, keys and values; gate, up and down.
  const double of_row = hidden * (2 * queries + 2 * keys) + 3 * hidden * inner;
  const double of_layer = 2 * of_row * static_cast<double>(work.rows) +
                          4 * queries * static_cast<double>(work.attended);
  return static_cast<double>(config.layers) * of_layer +
         2 * hidden * static_cast<double>(config.vocab_size * work.logit_rows);
}

}  // namespace attnrl::model
