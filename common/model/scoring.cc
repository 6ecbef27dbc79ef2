// SPDX-License-Identifier: Apache-2.0
#include "common/model/scoring.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/attention/dense_attention.h"
#include "common/attention/paged/paged_attention.h"
#include "common/attention/paged/plan.h"
#include "common/base/status.h"

namespace attnrl::model {
namespace {

// The tensors of one pass over some requests, every token but each last one.
struct Pass {
  std::vector<int64_t> lengths;
  std::vector<int64_t> ids;
  std::vector<int64_t> positions;
  std::vector<int64_t> scored;   // the rows that predict a response token
  std::vector<int64_t> targets;  // the tokens that they predict

  void Add(const ScoreRequest& request) {
    const auto first = static_cast<int64_t>(ids.size());
    const size_t prompt = request.prompt_ids.size();
    const size_t rows = prompt + request.response_ids.size() - 1;
    const auto token = [&](size_t i) {
      return i < prompt ? request.prompt_ids[i] : request.response_ids[i - prompt];
    };
    for (size_t i = 0; i < rows; ++i) {
      ids.push_back(token(i));
      positions.push_back(static_cast<int64_t>(i));
      if (i + 1 < prompt) continue;
      scored.push_back(first + static_cast<int64_t>(i));
      targets.push_back(token(i + 1));
    }
    lengths.push_back(static_cast<int64_t>(rows));
  }
};

at::Tensor Hidden(const Transformer& transformer, const Pass& pass, const at::Tensor& ids,
                  const at::Tensor& positions) {
  if (&transformer.operators() == &Operators::Standard()) {
    attention::DenseAttention attention(pass.lengths);
    return transformer.Hidden(ids, positions, attention);
  }
  const ModelConfig& config = transformer.config();
  const attention::SeparateSequences sequences(pass.lengths);
  attention::PagedKvCache cache({.layers = config.layers,
                                 .blocks = sequences.blocks(),
                                 .kv_heads = config.kv_heads,
                                 .head_dim = config.head_dim},
                                at::kFloat, ids.device());
  attention::AttentionPlan plan;
  plan.Build(sequences.groups());
  attention::PagedAttention attention(cache, plan);
  return transformer.Hidden(ids, positions, attention);
}

TokenScores Score(const Transformer& transformer, const Pass& pass) {
  const c10::InferenceMode inference;
  const at::Device device = transformer.weights().begin()->second.device();
  const auto to_tensor = [&](const std::vector<int64_t>& values) {
    return at::tensor(values, at::TensorOptions(at::kLong)).to(device);
  };
  const at::Tensor hidden =
      Hidden(transformer, pass, to_tensor(pass.ids), to_tensor(pass.positions));
  const at::Tensor logits = transformer.Logits(hidden.index_select(0, to_tensor(pass.scored)));
  const at::Tensor logprobs = transformer.operators().LogSoftmax(logits);
  const at::Tensor targets = to_tensor(pass.targets);
  return {.logprobs = logprobs.gather(-1, targets.unsqueeze(-1)).squeeze(-1).to(at::kCPU),
          .entropy = -(logprobs.exp() * logprobs).sum(-1).to(at::kCPU)};
}

std::vector<float> ToVector(const at::Tensor& values) {
  const auto* data = values.const_data_ptr<float>();
  return {data, data + values.numel()};
}

int64_t Tokens(const ScoreRequest& request) {
  return static_cast<int64_t>(request.prompt_ids.size() + request.response_ids.size());
}

}  // namespace

std::vector<SequenceScores> ScoreSequences(const Transformer& transformer,
                                           const std::vector<ScoreRequest>& requests,
                                           int64_t tokens_per_pass) {
  // Similar lengths together, so that attention pads little.
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return Tokens(requests[a]) > Tokens(requests[b]); });
  std::vector<SequenceScores> scores(requests.size());
  for (size_t next = 0; next < order.size();) {
    Pass pass;
    const size_t first = next;
    int64_t tokens = 0;
    while (next < order.size() &&
           (next == first || tokens + Tokens(requests[order[next]]) <= tokens_per_pass)) {
      tokens += Tokens(requests[order[next]]);
      pass.Add(requests[order[next++]]);
    }
    const TokenScores result = Score(transformer, pass);
    int64_t offset = 0;
    for (size_t i = first; i < next; ++i) {
      const auto count = static_cast<int64_t>(requests[order[i]].response_ids.size());
      scores[order[i]] = {ToVector(result.logprobs.narrow(0, offset, count).contiguous()),
                          ToVector(result.entropy.narrow(0, offset, count).contiguous())};
      offset += count;
    }
  }
  return scores;
}

absl::Status CheckScoreRequest(const std::string& where, const ModelConfig& config,
                               const ScoreRequest& request) {
  const std::pair<const char*, const std::vector<int32_t>&> fields[] = {
      {"prompt_ids", request.prompt_ids}, {"response_ids", request.response_ids}};
  for (const auto& [name, ids] : fields) {
    if (ids.empty()) {
      return InputError(where, absl::StrCat("field \"", name, "\" is empty"),
                        "at least one token id is needed");
    }
    for (const int32_t id : ids) {
      if (id >= 0 && id < config.vocab_size) continue;
      return InputError(where, absl::StrCat("field \"", name, "\" holds token ", id),
                        absl::StrCat("ids from 0 to ", config.vocab_size - 1, " are allowed"));
    }
  }
  if (Tokens(request) > config.max_position_embeddings) {
    return InputError(where, absl::StrCat("the sequence has ", Tokens(request), " tokens"),
                      absl::StrCat("at most ", config.max_position_embeddings,
                                   " (max_position_embeddings) are allowed"));
  }
  return absl::OkStatus();
}

}  // namespace attnrl::model
