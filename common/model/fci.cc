// SPDX-License-Identifier: Apache-2.0
#include "common/model/fci.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/attention/cuda/fci_attention.h"

namespace attnrl::model {
namespace {

attention::FciSequence Sequence(const FciRequest& request) {
  return {.steps = {request.steps.begin(), request.steps.end()},
          .think_end_step = request.think_end_step};
}

absl::Status Check(const ModelConfig& config, const FciRequest& request,
                   const FciOptions& options) {
  const attention::FciSequence sequence = Sequence(request);
  if (const absl::Status status = CheckFciSequence(sequence, options); !status.ok()) return status;
  const auto tokens = static_cast<int64_t>(request.ids.size());
  if (sequence.steps.back().second != tokens) {
    return absl::InvalidArgumentError(absl::StrCat("the steps end at ",
                                                   sequence.steps.back().second,
                                                   ", the sequence has ", tokens, " tokens"));
  }
  if (tokens > config.max_position_embeddings) {
    return absl::InvalidArgumentError(absl::StrCat("the sequence has ", tokens,
                                                   " tokens, the model has ",
                                                   config.max_position_embeddings, " positions"));
  }
  for (const int32_t id : request.ids) {
    if (id < 0 || id >= config.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat("token ", id, " is not in the vocabulary"));
    }
  }
  return absl::OkStatus();
}

std::vector<std::vector<float>> RunPass(const Transformer& model,
                                        std::span<const FciRequest> requests,
                                        const FciOptions& options) {
  const c10::InferenceMode inference;
  std::vector<int64_t> ids;
  std::vector<int64_t> positions;
  std::vector<attention::FciSequence> sequences;
  for (const FciRequest& request : requests) {
    ids.insert(ids.end(), request.ids.begin(), request.ids.end());
    for (size_t i = 0; i < request.ids.size(); ++i) positions.push_back(static_cast<int64_t>(i));
    sequences.push_back(Sequence(request));
  }
  const at::Tensor& any = model.weights().begin()->second;
  const at::Device device = any.device();
  const auto run = [&](attention::Attention& attention) {
    model.RunAttention(at::tensor(ids).to(device), at::tensor(positions).to(device), attention);
  };
  const attention::FciKernels* const kernels =
      device.is_cuda() ? attention::GpuFciKernels() : nullptr;
  const int64_t layers = model.config().layers;
  if (kernels != nullptr &&
      attention::GpuFciAttention::Fits(model.config().head_dim, any.scalar_type())) {
    attention::GpuFciAttention attention(sequences, layers, options, device, *kernels);
    run(attention);
    return attention.Scores();
  }
  attention::FciAttention attention(std::move(sequences), layers, options);
  run(attention);
  return attention.Scores();
}

}  // namespace

absl::StatusOr<std::vector<std::vector<float>>> RecomputeFci(const Transformer& model,
                                                             std::span<const FciRequest> requests,
                                                             const FciOptions& options,
                                                             int64_t tokens_per_pass) {
  for (const FciRequest& request : requests) {
    if (const absl::Status status = Check(model.config(), request, options); !status.ok()) {
      return status;
    }
  }
  std::vector<std::vector<float>> scores;
  while (scores.size() < requests.size()) {
    const size_t first = scores.size();
    size_t count = 0;
    size_t tokens = 0;
    while (first + count < requests.size()) {
      tokens += requests[first + count].ids.size();
      if (count > 0 && static_cast<int64_t>(tokens) > tokens_per_pass) break;
      ++count;
    }
    for (auto& score : RunPass(model, requests.subspan(first, count), options)) {
      scores.push_back(std::move(score));
    }
  }
  return scores;
}

absl::StatusOr<std::vector<float>> RecomputeFci(const Transformer& model,
                                                std::span<const int32_t> ids,
                                                std::span<const StepRange> steps,
                                                std::optional<int64_t> think_end_step,
                                                const FciOptions& options) {
  const FciRequest request = {.ids = ids, .steps = steps, .think_end_step = think_end_step};
  auto scores = RecomputeFci(model, std::span(&request, 1), options);
  if (!scores.ok()) return scores.status();
  return std::move(scores->front());
}

}  // namespace attnrl::model
