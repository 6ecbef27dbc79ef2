// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/worker_metrics.h"

#include <gtest/gtest.h>

#include "common/model/flops.h"
#include "common/observe/metrics.h"

namespace attnrl::rollout {
namespace {

TEST(StepObserver, CountsWhatAStepAsksOfTheModel) {
  const model::ModelConfig config = {.vocab_size = 40,
                                     .hidden_size = 32,
                                     .intermediate_size = 48,
                                     .layers = 2,
                                     .heads = 4,
                                     .kv_heads = 2,
                                     .head_dim = 8};
  const auto flops = observe::GetCounter(observe::kModelFlopsTotal, {"worker"});
  const double before = flops.Value();
  const auto observe_step = StepObserver(4, config);
  observe_step({.prefill_rows = 5, .decode_rows = 2, .attended = 30, .sampled_tokens = 3});
  EXPECT_EQ(flops.Value() - before,
            model::ForwardFlops(config, {.rows = 7, .attended = 30, .logit_rows = 3}));
}

}  // namespace
}  // namespace attnrl::rollout
