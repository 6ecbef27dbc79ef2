// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/whole/same_tokens.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/scoring.h"
#include "common/model/transformer.h"
#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/engine/stepper.h"
#include "tests/bench/whole/random_model.h"

namespace attnrl::bench {
namespace {

using Completions = std::map<uint64_t, rollout::Completion>;

constexpr int64_t kMaxTokens = 1024;

// Runs the requests to their ends. `weights` lie anywhere.
absl::StatusOr<Completions> Sample(rollout::RunnerOptions options, const model::ModelConfig& config,
                                   model::Tensors weights,
                                   const std::vector<rollout::Request>& requests) {
  const auto slots = static_cast<int64_t>(requests.size());
  options.dtype = model::DType::kFloat32;
  options.blocks = rollout::KvBlocks(slots, kMaxTokens);
  for (auto& [name, tensor] : weights) tensor = tensor.to(options.device);
  ATTNRL_ASSIGN_OR_RETURN(const auto model,
                          rollout::MakeModel(config, std::move(weights), options.deterministic));
  ATTNRL_ASSIGN_OR_RETURN(const auto runner, rollout::MakeRunner(options, config));
  runner->Begin();
  rollout::Stepper stepper({.slots = slots, .max_tokens = kMaxTokens}, *runner, Clock::Real());
  stepper.SetWeights(0, model);
  Completions done;
  for (const rollout::Request& request : requests) {
    ATTNRL_RETURN_IF_ERROR(stepper.Submit(request, [&done](rollout::Completion completion) {
      const uint64_t id = completion.id;
      done[id] = std::move(completion);
    }));
  }
  while (stepper.Step()) {
  }
  for (const auto& [id, completion] : done) ATTNRL_RETURN_IF_ERROR(completion.status);
  return done;
}

model::ModelConfig SmallModel(const SmallShape& shape) {
  model::ModelConfig config;
  config.vocab_size = 2300;
  config.hidden_size = 128;
  config.intermediate_size = 256;
  config.layers = shape.layers;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 64;
  config.max_position_embeddings = kMaxTokens;
  // With larger weights rounding grows from layer to layer until it turns draws: log-probs then
  // differ by 2e-5 instead of 1e-6.
  config.initializer_range = 0.05;
  config.qkv_bias = true;
  return config;
}

// Siblings of prompts of several lengths.
std::vector<rollout::Request> SmallRequests(const SmallShape& shape, int64_t vocabulary) {
  std::vector<rollout::Request> requests;
  for (int64_t i = 0; i < shape.sequences; ++i) {
    rollout::Request request;
    request.id = static_cast<uint64_t>(i);
    const int64_t group = i / 4, prompt = 7 + 38 * group;
    for (int64_t token = 0; token < prompt; ++token) {
      request.prompt_ids.push_back(static_cast<int32_t>((token * 7 + group) % vocabulary));
    }
    request.shared = {{{static_cast<uint32_t>(group)}, prompt}};
    request.max_new_tokens = shape.response;
    request.key = {.seed = 3, .purpose = kSampleToken, .node = static_cast<uint32_t>(i)};
    request.score_delta = 1;
    requests.push_back(std::move(request));
  }
  return requests;
}

// `found` goes on otherwise than `wanted`. Both ids are scored by the CPU behind what is the same.
OtherToken FirstOther(const model::Transformer& on_cpu, const rollout::Request& request,
                      const std::vector<int32_t>& found, const std::vector<int32_t>& wanted) {
  const auto [at_found, at_wanted] =
      std::mismatch(found.begin(), found.end(), wanted.begin(), wanted.end());
  OtherToken other = {.continuation = static_cast<int64_t>(request.id),
                      .position = at_wanted - wanted.begin(),
                      .found = at_found == found.end() ? -1 : *at_found,
                      .wanted = at_wanted == wanted.end() ? -1 : *at_wanted,
                      .gap = INFINITY};
  if (other.found < 0 || other.wanted < 0) return other;  // one ended before the other
  std::vector<int32_t> before = request.prompt_ids;
  before.insert(before.end(), wanted.begin(), at_wanted);
  const auto scores =
      model::ScoreSequences(on_cpu, {{before, {other.wanted}}, {before, {other.found}}});
  other.gap = double{scores[0].logprobs[0]} - double{scores[1].logprobs[0]};
  return other;
}

}  // namespace

absl::StatusOr<Difference> CompareWithCpu(rollout::RunnerOptions options, const SmallShape& shape) {
  const model::ModelConfig config = SmallModel(shape);
  const model::Tensors weights = DrawWeights(config, at::Device(at::kCPU));
  const std::vector<rollout::Request> requests = SmallRequests(shape, config.vocab_size);
  options.segmenter = MakeLines(config.vocab_size);
  options.online_scores = true;
  ATTNRL_ASSIGN_OR_RETURN(const Completions found, Sample(options, config, weights, requests));
  ATTNRL_ASSIGN_OR_RETURN(const Completions wanted,
                          Sample({.threads = options.threads, .segmenter = options.segmenter},
                                 config, weights, requests));
  Difference difference;
  for (const auto& [id, expected] : wanted) {
    const rollout::Completion& completion = found.at(id);
    if (completion.token_ids != expected.token_ids ||
        completion.scores.ends != expected.scores.ends ||
        completion.scores.fci.size() != expected.scores.fci.size()) {
      ++difference.sequences;
      continue;
    }
    for (size_t step = 0; step < expected.scores.fci.size(); ++step) {
      const double other = std::abs(completion.scores.fci[step] - expected.scores.fci[step]);
      difference.fci = std::isnan(other) ? INFINITY : std::max(difference.fci, other);
      difference.positive += expected.scores.fci[step] > 0 ? 1 : 0;
    }
  }
  return difference;
}

absl::StatusOr<std::vector<OtherToken>> CompareWithOracle(rollout::RunnerOptions options,
                                                          const std::string& folder,
                                                          const std::string& model) {
  const std::string weights_folder = absl::StrCat(folder, "/", model);
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig config, model::LoadModelConfig(weights_folder));
  ATTNRL_ASSIGN_OR_RETURN(
      model::Tensors weights,
      model::LoadTensors(weights_folder, config, model::DType::kFloat32, at::Device(at::kCPU)));
  const std::string path = absl::StrCat(folder, "/model/", model, "/greedy.jsonl");
  std::ifstream file(path);
  std::vector<rollout::Request> requests;
  std::vector<std::vector<int32_t>> wanted;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json record = nlohmann::json::parse(line);
    rollout::Request request;
    request.id = requests.size();
    request.prompt_ids = record["prompt_ids"].get<std::vector<int32_t>>();
    wanted.push_back(record["continuation_ids"].get<std::vector<int32_t>>());
    request.max_new_tokens = static_cast<int64_t>(wanted.back().size());
    request.sampling.temperature = 0;
    requests.push_back(std::move(request));
  }
  if (requests.empty()) return absl::NotFoundError(absl::StrCat(path, " has no continuation"));
  ATTNRL_ASSIGN_OR_RETURN(const Completions found, Sample(options, config, weights, requests));
  const model::Transformer on_cpu(config, std::move(weights));
  std::vector<OtherToken> others;
  for (size_t id = 0; id < wanted.size(); ++id) {
    const std::vector<int32_t>& ids = found.at(id).token_ids;
    if (ids != wanted[id]) others.push_back(FirstOther(on_cpu, requests[id], ids, wanted[id]));
  }
  return others;
}

}  // namespace attnrl::bench
