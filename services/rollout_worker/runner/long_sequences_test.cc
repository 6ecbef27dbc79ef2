// SPDX-License-Identifier: Apache-2.0
// What is asked of long responses: bounded memory, and what is shared computed and stored once.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/attention/dense_attention.h"
#include "common/model/transformer.h"
#include "services/rollout_worker/engine/kv_branch.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/runner/runner.h"

namespace attnrl::rollout {
namespace {

constexpr int64_t kPrompt = 100;
constexpr int64_t kResponse = 8192;

model::ModelConfig LongConfig() {
  model::ModelConfig config;
  config.vocab_size = 32;
  config.hidden_size = 16;
  config.intermediate_size = 16;
  config.layers = 1;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 8;
  config.max_position_embeddings = 16384;
  config.initializer_range = 0.5;
  return config;
}

class LongSequences : public ::testing::Test {
 protected:
  void Start(int64_t blocks, int64_t slots) {
    auto runner = MakeRunner({.blocks = blocks, .deterministic = true}, config_);
    ASSERT_TRUE(runner.ok()) << runner.status();
    runner_ = *std::move(runner);
    runner_->Begin();
    stepper_ = std::make_unique<Stepper>(
        StepperOptions{.slots = slots, .max_tokens = kPrompt + kResponse}, *runner_, clock_);
    stepper_->SetWeights(0, *MakeModel(config_, Weights(), true));
  }
  model::Tensors Weights() const {
    return model::RandomTensors(config_, 1, model::DType::kFloat32);
  }
  void Submit(Request request) {
    const absl::Status status = stepper_->Submit(std::move(request), [this](Completion completion) {
      const uint64_t id = completion.id;
      done_[id] = std::move(completion);
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  void RunAll() {
    while (stepper_->Step()) {
      preempted_ += stepper_->report().preempted;
      prefilled_ += stepper_->report().prefill_rows;
    }
  }

  const model::ModelConfig config_ = LongConfig();
  FakeClock clock_;
  std::unique_ptr<StepRunner> runner_;
  std::unique_ptr<Stepper> stepper_;
  std::map<uint64_t, Completion> done_;
  int64_t preempted_ = 0;
  int64_t prefilled_ = 0;
};

Request Sibling(uint32_t i) {
  Request request;
  request.id = i;
  for (int32_t token = 0; token < kPrompt; ++token) request.prompt_ids.push_back(token * 7 % 32);
  request.shared = {{{1}, kPrompt}};
  request.becomes = {{1, i + 1}};
  request.max_new_tokens = kResponse;
  request.key = {.seed = 4, .purpose = kSampleToken, .node = i};
  return request;
}

TEST_F(LongSequences, SixSiblingsOf8192TokensFitTheBlocksThatTheyNeed) {
  // The prompt once, and of each sibling what comes after it.
  const int64_t prompt = KvBranch::MostBlocks(kPrompt - 1, 0);
  const int64_t own = KvBranch::MostBlocks(kPrompt + kResponse, 0) - (kPrompt - 1) / 32;
  Start(prompt + 6 * own, 6);
  for (uint32_t i = 0; i < 6; ++i) Submit(Sibling(i));
  RunAll();
  EXPECT_EQ(preempted_, 0);
  EXPECT_EQ(prefilled_, kPrompt - 1 + 6) << "the prompt was computed once";
  ASSERT_EQ(done_.size(), 6U);
  // The last log-probs of one of them, by a dense pass over the whole sequence.
  const Completion& completion = done_.at(3);
  ASSERT_TRUE(completion.status.ok()) << completion.status;
  const c10::InferenceMode inference;
  const model::Transformer model(config_, Weights());
  const std::vector<int32_t> prompt_ids = Sibling(3).prompt_ids;
  std::vector<int64_t> ids(prompt_ids.begin(), prompt_ids.end());
  ids.insert(ids.end(), completion.token_ids.begin(), completion.token_ids.end() - 1);
  const auto rows = static_cast<int64_t>(ids.size());
  attention::DenseAttention attention({rows});
  const at::Tensor hidden = model.Hidden(at::tensor(ids, at::kLong), at::arange(rows), attention);
  const at::Tensor scores = at::log_softmax(model.Logits(hidden.narrow(0, rows - 50, 50)), -1);
  for (size_t i = 0; i < 50; ++i) {
    const size_t at = completion.token_ids.size() - 50 + i;
    EXPECT_NEAR(scores[static_cast<int64_t>(i)][completion.token_ids[at]].item<float>(),
                completion.logprobs[at], 2e-4);
  }
}

TEST_F(LongSequences, ChildrenAtTwoPointsOfResponsesComputeNothingThatIsThere) {
  Start(600, 48);
  std::vector<Request> parents;
  for (uint32_t i = 0; i < 6; ++i) {
    parents.push_back(Sibling(i));
    parents.back().max_new_tokens = 1024;
    Submit(parents.back());
  }
  RunAll();
  const int64_t before = prefilled_;
  for (uint32_t i = 0; i < 48; ++i) {
    const uint32_t parent = i / 8;
    const int64_t split = i % 8 < 4 ? 300 : 700;
    Request child = parents[parent];
    child.id = 100 + i;
    child.becomes.reset();
    const std::vector<int32_t>& response = done_.at(parent).token_ids;
    child.prompt_ids.insert(child.prompt_ids.end(), response.begin(), response.begin() + split);
    child.shared.push_back({{1, parent + 1}, static_cast<int64_t>(child.prompt_ids.size())});
    child.first_index = static_cast<uint32_t>(split);
    child.max_new_tokens = 20;
    child.key.node = child.id < 104 ? parent : static_cast<uint32_t>(child.id);
    Submit(child);
  }
  RunAll();
  EXPECT_EQ(preempted_, 0);
  EXPECT_EQ(prefilled_ - before, 48) << "each child computes the last token before its own";
  // A child with its parent's key says what the parent said.
  const std::vector<int32_t>& response = done_.at(0).token_ids;
  EXPECT_EQ(done_.at(100).token_ids,
            std::vector<int32_t>(response.begin() + 300, response.begin() + 320));
}

}  // namespace
}  // namespace attnrl::rollout
