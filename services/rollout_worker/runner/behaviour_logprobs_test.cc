// SPDX-License-Identifier: Apache-2.0
// What the engine says of its tokens against what the learner says of them under the same weights.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "common/base/philox.h"
#include "common/model/operators.h"
#include "common/model/transformer.h"
#include "services/learner/train/pass.h"
#include "services/learner/train/token_scores.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/runner/runner.h"

namespace attnrl::rollout {
namespace {

model::ModelConfig DeepConfig() {
  model::ModelConfig config;
  config.vocab_size = 512;
  config.hidden_size = 128;
  config.intermediate_size = 256;
  config.layers = 8;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 32;
  config.max_position_embeddings = 256;
  config.qkv_bias = true;
  return config;
}

std::vector<Request> Prompts() {
  std::vector<Request> requests;
  RandomStream random({.seed = 5});
  for (uint64_t i = 0; i < 8; ++i) {
    Request request;
    request.id = i;
    for (size_t token = 0; token < 10 + 5 * i; ++token) {
      request.prompt_ids.push_back(static_cast<int32_t>(random.Below(512)));
    }
    request.max_new_tokens = 50;
    request.key = {.seed = 3, .purpose = kSampleToken, .node = static_cast<uint32_t>(i)};
    requests.push_back(std::move(request));
  }
  return requests;
}

struct Difference {
  double mean = 0;
  double most = 0;
};

// Of the log-probs of sampled tokens, in nats. `trained`: the learner's weights have gradients.
Difference EngineAgainstLearner(model::DType dtype, bool trained) {
  const model::ModelConfig config = DeepConfig();
  const auto weights = [&] { return model::RandomTensors(config, 1, dtype); };
  const auto runner = *MakeRunner({.blocks = 64, .dtype = dtype}, config);
  runner->Begin();
  const FakeClock clock;
  Stepper stepper({.slots = 8, .max_tokens = 100}, *runner, clock);
  stepper.SetWeights(0, *MakeModel(config, weights(), /*deterministic=*/false));
  std::map<uint64_t, Completion> done;
  const std::vector<Request> requests = Prompts();
  for (const Request& request : requests) {
    EXPECT_TRUE(stepper
                    .Submit(request,
                            [&done](Completion completion) {
                              const uint64_t id = completion.id;
                              done[id] = std::move(completion);
                            })
                    .ok());
  }
  while (stepper.Step()) {
  }
  std::vector<learner::PassSequence> sequences;
  for (const Request& request : requests) {
    sequences.push_back({request.prompt_ids, done.at(request.id).token_ids});
  }
  model::Tensors leaves = weights();
  for (auto& [name, leaf] : leaves) leaf.set_requires_grad(trained);
  const model::Transformer transformer(config, std::move(leaves));
  const at::Tensor scores =
      learner::ScorePass(transformer,
                         learner::MakePass(sequences, learner::Prefixes::kEach, at::kCPU), 1,
                         /*entropy=*/false)
          .logprobs;
  Difference difference;
  int64_t token = 0;
  for (const Request& request : requests) {
    for (const float logprob : done.at(request.id).logprobs) {
      const double apart = std::abs(scores[token++].item<double>() - static_cast<double>(logprob));
      difference.mean += apart;
      difference.most = std::max(difference.most, apart);
    }
  }
  EXPECT_EQ(token, 8 * 50);
  difference.mean /= static_cast<double>(token);
  return difference;
}

TEST(BehaviourLogprobs, AreTheLearnersInFloat32) {
  EXPECT_LT(EngineAgainstLearner(model::DType::kFloat32, /*trained=*/true).most, 1e-4);
}

// Measured with AVX2: 4e-6, whether the learner trains or its weights are frozen, as those of the
// reference are.
TEST(BehaviourLogprobs, AreNearlyTheLearnersInBfloat16) {
  const Difference trained = EngineAgainstLearner(model::DType::kBFloat16, /*trained=*/true);
  const bool wide = model::TrainedActivations(at::kBFloat16, at::kCPU) == at::kFloat;
  EXPECT_LT(trained.mean, wide ? 2e-4 : 2e-3);
  EXPECT_LT(trained.most, wide ? 2e-3 : 2e-2);
  const Difference frozen = EngineAgainstLearner(model::DType::kBFloat16, /*trained=*/false);
  EXPECT_LT(frozen.mean, wide ? 2e-4 : 1e-3);
}

}  // namespace
}  // namespace attnrl::rollout
