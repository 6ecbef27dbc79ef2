// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/memory_estimate.h"

#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

// Qwen2.5-0.5B, without the biases.
model::ModelConfig HalfBillion() {
  model::ModelConfig model;
  model.hidden_size = 896;
  model.intermediate_size = 4864;
  model.layers = 24;
  model.heads = 14;
  model.kv_heads = 2;
  model.head_dim = 64;
  model.vocab_size = 151936;
  model.tie_word_embeddings = true;
  return model;
}

TEST(MemoryEstimate, GrowsWithSlotsWorkersAndAReferenceModel) {
  config::Config config;
  const MemoryEstimate before = EstimateMemory(config, HalfBillion(), 2);
  config.rollout.slots *= 2;
  config.rollout.workers = 2;
  config.learner.kl_weight = 0;
  const MemoryEstimate after = EstimateMemory(config, HalfBillion(), 2);
  // 64 slots of 9,216 tokens, 24 layers, two of 2 x 64 values of 2 bytes.
  EXPECT_EQ(after.worker_bytes - before.worker_bytes, int64_t{64} * 9216 * 24 * 2 * 2 * 64 * 2);
  EXPECT_EQ(before.learner_bytes - after.learner_bytes, 2 * model::CountParameters(HalfBillion()));
  EXPECT_EQ(after.total_bytes - after.learner_bytes - after.scheduler_bytes - after.verifier_bytes,
            2 * after.worker_bytes);
}

}  // namespace
}  // namespace attnrl::tools
