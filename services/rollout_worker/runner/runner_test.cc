// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/runner.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <utility>

#include "common/attention/dense_attention.h"
#include "common/base/philox.h"
#include "common/model/transformer.h"
#include "services/learner/client/weight_client.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/weights/version_loader.h"

namespace attnrl::rollout {
namespace {

model::ModelConfig SmallConfig() {
  model::ModelConfig config;
  config.vocab_size = 40;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.max_position_embeddings = 128;
  config.initializer_range = 0.5;  // far from uniform
  config.qkv_bias = true;
  return config;
}

constexpr int64_t kMaxTokens = 128;

// Requests of many lengths, some of which stop early.
std::vector<Request> MakeRequests(size_t count) {
  std::vector<Request> requests;
  RandomStream random({.seed = 11});
  for (size_t i = 0; i < count; ++i) {
    Request request;
    request.id = i;
    for (uint64_t token = 0; token <= random.Below(20); ++token) {
      request.prompt_ids.push_back(static_cast<int32_t>(random.Below(40)));
    }
    request.max_new_tokens = 1 + static_cast<int64_t>(random.Below(30));
    request.key = {.seed = 3, .purpose = kSampleToken, .node = static_cast<uint32_t>(i)};
    request.stop_ids = {7};
    requests.push_back(std::move(request));
  }
  return requests;
}

struct BatchSettings {
  int64_t slots = 4;
  bool deterministic = false;
  int threads = 1;
  bool reversed = false;  // order of submission
  int64_t max_step_rows = 2048;
  int64_t blocks = 64;
};

// `preempted`: counts the sequences that gave their blocks back.
std::map<uint64_t, Completion> RunAll(const std::vector<Request>& requests,
                                      const BatchSettings& setup, int64_t* preempted = nullptr) {
  const model::ModelConfig config = SmallConfig();
  auto runner = MakeRunner(
      {.blocks = setup.blocks, .deterministic = setup.deterministic, .threads = setup.threads},
      config);
  auto model = MakeModel(config, model::RandomTensors(config, 1, model::DType::kFloat32),
                         setup.deterministic);
  (*runner)->Begin();
  FakeClock clock;
  Stepper stepper(
      {.slots = setup.slots, .max_tokens = kMaxTokens, .max_step_rows = setup.max_step_rows},
      **runner, clock);
  stepper.SetWeights(0, *model);
  std::map<uint64_t, Completion> done;
  for (size_t i = 0; i < requests.size(); ++i) {
    const size_t index = setup.reversed ? requests.size() - 1 - i : i;
    const absl::Status status = stepper.Submit(requests[index], [&](Completion completion) {
      const uint64_t id = completion.id;
      done[id] = std::move(completion);
    });
    EXPECT_TRUE(status.ok()) << status;
  }
  while (stepper.Step()) {
    if (preempted != nullptr) *preempted += stepper.report().preempted;
    EXPECT_EQ(stepper.pool().used(), stepper.ReachableBlocks());
    EXPECT_EQ(static_cast<size_t>(stepper.running() + stepper.waiting()) + done.size(),
              requests.size());
  }
  stepper.DropWeights(0);
  EXPECT_EQ(stepper.pool().used(), 0);
  return done;
}

// Log-probs of a response by one dense pass over the whole sequence.
std::vector<double> DenseLogprobs(const Request& request, const Completion& completion) {
  const model::ModelConfig config = SmallConfig();
  const c10::InferenceMode inference;
  const model::Transformer model(config, model::RandomTensors(config, 1, model::DType::kFloat32));
  std::vector<int64_t> ids(request.prompt_ids.begin(), request.prompt_ids.end());
  ids.insert(ids.end(), completion.token_ids.begin(), completion.token_ids.end());
  const auto rows = static_cast<int64_t>(ids.size());
  attention::DenseAttention attention({rows});
  const at::Tensor logits = model.Logits(
      model.Hidden(at::tensor(ids, at::kLong), at::arange(rows, at::kLong), attention));
  const at::Tensor scores = at::log_softmax(logits.to(at::kDouble), -1);
  std::vector<double> logprobs;
  for (size_t i = 0; i < completion.token_ids.size(); ++i) {
    const auto row = static_cast<int64_t>(request.prompt_ids.size() + i) - 1;
    logprobs.push_back(scores[row][completion.token_ids[i]].item<double>());
  }
  return logprobs;
}

TEST(Runner, EqualsADensePassWhateverTheBatch) {
  const std::vector<Request> requests = MakeRequests(40);
  const auto done = RunAll(requests, {.slots = 5});
  ASSERT_EQ(done.size(), requests.size());
  for (const Request& request : requests) {
    const Completion& completion = done.at(request.id);
    ASSERT_TRUE(completion.status.ok()) << completion.status;
    const std::vector<double> expected = DenseLogprobs(request, completion);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(completion.logprobs[i], expected[i], 1e-4) << "request " << request.id;
    }
  }
}

TEST(Runner, ContinuousBatchingDrawsTheTokensOfASequenceAlone) {
  const std::vector<Request> requests = MakeRequests(40);
  const auto batched = RunAll(requests, {.slots = 7});
  const auto alone = RunAll(requests, {.slots = 1});
  for (const Request& request : requests) {
    EXPECT_EQ(batched.at(request.id).token_ids, alone.at(request.id).token_ids);
  }
}

TEST(DeterministicRunner, GivesTheSameBitsForAnySlotsOrderAndThreads) {
  const std::vector<Request> requests = MakeRequests(40);
  const auto expected = RunAll(requests, {.slots = 1, .deterministic = true});
  for (const BatchSettings& setup :
       {BatchSettings{.slots = 16, .deterministic = true},
        BatchSettings{.slots = 5, .deterministic = true, .threads = 2},
        BatchSettings{.slots = 6, .deterministic = true, .reversed = true},
        BatchSettings{.slots = 8, .deterministic = true, .max_step_rows = 9}}) {
    const auto done = RunAll(requests, setup);
    for (const Request& request : requests) {
      const Completion& found = done.at(request.id);
      const Completion& wanted = expected.at(request.id);
      ASSERT_EQ(found.token_ids, wanted.token_ids);
      ASSERT_EQ(found.logprobs, wanted.logprobs) << "slots " << setup.slots;
      ASSERT_EQ(found.entropy, wanted.entropy) << "slots " << setup.slots;
    }
  }
  at::set_num_threads(1);
}

TEST(DeterministicRunner, WhatGaveItsBlocksBackHasTheBitsOfOneThatRanThrough) {
  std::vector<Request> requests = MakeRequests(8);
  for (Request& request : requests) {
    request.max_new_tokens = 100;  // four blocks each, of a cache of ten
    request.stop_ids = {};
  }
  int64_t preempted = 0;
  const auto expected = RunAll(requests, {.slots = 1, .deterministic = true}, &preempted);
  EXPECT_EQ(preempted, 0);
  const auto done = RunAll(requests, {.slots = 6, .deterministic = true, .blocks = 10}, &preempted);
  EXPECT_GT(preempted, 0);
  for (const Request& request : requests) {
    const Completion& found = done.at(request.id);
    const Completion& wanted = expected.at(request.id);
    ASSERT_TRUE(found.status.ok()) << found.status;
    EXPECT_EQ(found.token_ids.size(), 100u);
    EXPECT_EQ(found.token_ids, wanted.token_ids);
    EXPECT_EQ(found.logprobs, wanted.logprobs) << "request " << request.id;
    EXPECT_EQ(found.entropy, wanted.entropy) << "request " << request.id;
  }
}

TEST(DeterministicRunner, AContinuationHasTheBitsOfTheWholeResponse) {
  Request whole = MakeRequests(1)[0];
  whole.max_new_tokens = 20;
  whole.stop_ids = {};
  const Completion first = RunAll({whole}, {.deterministic = true}).at(0);
  Request rest = whole;
  rest.first_index = 8;
  rest.max_new_tokens = 12;
  rest.prompt_ids.insert(rest.prompt_ids.end(), first.token_ids.begin(),
                         first.token_ids.begin() + 8);
  const Completion second = RunAll({rest}, {.deterministic = true}).at(0);
  EXPECT_EQ(second.token_ids,
            std::vector<int32_t>(first.token_ids.begin() + 8, first.token_ids.end()));
  EXPECT_EQ(second.logprobs, std::vector<float>(first.logprobs.begin() + 8, first.logprobs.end()));
}

// Six sequences that begin with the same thirty tokens.
std::vector<Request> Siblings(bool shared = true) {
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 6; ++i) {
    Request request;
    request.id = i;
    for (int32_t token = 0; token < 30; ++token) request.prompt_ids.push_back((token * 7) % 40);
    for (uint64_t more = 0; more < i; ++more) request.prompt_ids.push_back(static_cast<int32_t>(i));
    request.max_new_tokens = 12;
    request.key = {.seed = 5, .purpose = kSampleToken, .node = static_cast<uint32_t>(i)};
    if (shared) request.shared = {{{1}, 30}};
    requests.push_back(std::move(request));
  }
  return requests;
}

TEST(DeterministicRunner, ASharedPrefixHasTheBitsOfOneComputedAnew) {
  const auto alone = RunAll(Siblings(false), {.slots = 1, .deterministic = true});
  const auto together = RunAll(Siblings(), {.slots = 6, .deterministic = true});
  int64_t reused = 0;
  for (const Request& request : Siblings()) {
    EXPECT_EQ(together.at(request.id).token_ids, alone.at(request.id).token_ids);
    EXPECT_EQ(together.at(request.id).logprobs, alone.at(request.id).logprobs);
    EXPECT_EQ(alone.at(request.id).reused_tokens, 0);
    reused += together.at(request.id).reused_tokens;
  }
  EXPECT_EQ(reused, 29 + 4 * 30 - 1 + 1);
}

TEST(Runner, ASharedPrefixGivesTheLogProbsOfADensePass) {
  const auto done = RunAll(Siblings(), {.slots = 6});
  for (const Request& request : Siblings()) {
    const Completion& completion = done.at(request.id);
    const std::vector<double> expected = DenseLogprobs(request, completion);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(completion.logprobs[i], expected[i], 1e-4) << "request " << request.id;
    }
  }
}

TEST(VersionLoader, TakesExactlyTheTensorsOfItsVersion) {
  const model::ModelConfig config = SmallConfig();
  const model::Tensors tensors = model::RandomTensors(config, 1, model::DType::kFloat32);
  learner::VersionData data;
  std::string bytes;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor flat = tensor.contiguous();
    data.tensors.push_back({.name = name,
                            .dtype = "F32",
                            .shape = tensor.sizes().vec(),
                            .offset = bytes.size(),
                            .size = flat.nbytes()});
    bytes.append(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
  }
  data.bytes = learner::WeightBytes(bytes);
  data.version = {.number = 4, .digest = model::Digest(tensors)};
  const WeightLoader load = MakeVersionLoader(config, {});
  EXPECT_TRUE(load(data).ok());

  learner::VersionData damaged = data;
  bytes[1000] = static_cast<char>(bytes[1000] ^ 1);
  damaged.bytes = learner::WeightBytes(bytes);
  EXPECT_TRUE(absl::IsDataLoss(load(damaged).status()));
  learner::VersionData fewer = data;
  fewer.tensors.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(load(fewer).status()));
  learner::VersionData other = data;
  other.tensors[0].shape[0] += 1;
  EXPECT_TRUE(absl::IsDataLoss(load(other).status()));
  const WeightLoader half = MakeVersionLoader(config, {.dtype = model::DType::kBFloat16});
  EXPECT_TRUE(absl::IsDataLoss(half(data).status()));
}

}  // namespace
}  // namespace attnrl::rollout
