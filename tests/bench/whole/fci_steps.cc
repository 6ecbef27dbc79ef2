// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/whole/fci_steps.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "absl/status/status.h"
#include "common/attention/attention.h"
#include "common/base/clock.h"
#include "common/base/philox.h"
#include "common/model/fci.h"
#include "common/model/flops.h"
#include "tests/bench/whole/tensor_memory.h"

namespace attnrl::bench {
namespace {

constexpr int64_t kStepTokens = 32;
constexpr int64_t kDelta = 4;

struct Sequence {
  std::vector<int32_t> ids;
  std::vector<StepRange> steps;
};

Sequence Draw(int64_t tokens, int64_t vocabulary) {
  RandomStream random({.seed = 4});
  Sequence sequence;
  for (int64_t i = 0; i < tokens; ++i) {
    sequence.ids.push_back(static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocabulary))));
  }
  for (int64_t begin = 0; begin < tokens; begin += kStepTokens) {
    sequence.steps.emplace_back(begin, std::min(tokens, begin + kStepTokens));
  }
  return sequence;
}

// Attention that keeps, of each layer, what FCI is defined by (common/attention/fci/README.md).
class EagerAttention final : public attention::Attention {
 public:
  EagerAttention(const std::vector<StepRange>& steps, at::Device device) {
    const auto count = static_cast<int64_t>(steps.size());
    const int64_t rows = steps.back().second;
    mean_ = at::zeros({rows, count});
    for (int64_t step = 0; step < count; ++step) {
      const auto [begin, end] = steps[static_cast<size_t>(step)];
      mean_.slice(0, begin, end).select(1, step).fill_(1.0 / static_cast<double>(end - begin));
    }
    mean_ = mean_.to(device);
    later_ = at::ones({count, count}).tril(-kDelta).to(device);
    future_ = at::ones({rows, rows}, at::kBool).triu(1).to(device);
  }

  at::Tensor Forward(int64_t /*layer*/, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override {
    const int64_t repeats = q.size(1) / k.size(1);
    const auto heads = [](const at::Tensor& x) { return x.transpose(0, 1); };
    const at::Tensor keys = heads(k).repeat_interleave(repeats, 0);
    at::Tensor p = at::matmul(heads(q), keys.transpose(1, 2)).to(at::kFloat);
    p.div_(std::sqrt(static_cast<double>(q.size(2))));
    p.masked_fill_(future_, -std::numeric_limits<double>::infinity());
    p = at::softmax(p, -1);
    const at::Tensor by_step = at::matmul(mean_.t(), at::matmul(p, mean_));  // [heads, j, k]
    const at::Tensor influence = std::get<0>((by_step * later_).sum(1).max(0));
    most_ = most_.defined() ? at::maximum(most_, influence) : influence;
    const at::Tensor out =
        at::matmul(p.to(v.scalar_type()), heads(v).repeat_interleave(repeats, 0));
    return heads(out).contiguous();
  }

  std::vector<float> Scores() const {
    const at::Tensor most = most_.cpu().contiguous();
    std::vector<float> scores(most.data_ptr<float>(), most.data_ptr<float>() + most.numel());
    // The prompt and the first step of the response.
    std::fill_n(scores.begin(), std::min<size_t>(scores.size(), 2), 0.0F);
    return scores;
  }

 private:
  at::Tensor mean_;    // [tokens, steps]: what a mean over a step takes of a token
  at::Tensor later_;   // [steps, steps]: 1 where step j counts for step k
  at::Tensor future_;  // [tokens, tokens]
  at::Tensor most_;    // [steps], over layers and heads
};

StepCost CostOf(const model::Transformer& model, int64_t tokens, const std::function<void()>& run) {
  const at::Device device = model.weights().begin()->second.device();
  StepCost cost;
  for (int i = 0; i < 3; ++i) {
    WaitFor(device);
    const absl::Duration start = Clock::Real().Monotonic();
    run();
    WaitFor(device);
    const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
    if (i == 1 || (i > 1 && seconds < cost.seconds)) cost.seconds = seconds;
  }
  cost.flops = model::ForwardFlops(
      model.config(), {.rows = tokens, .attended = tokens * (tokens + 1) / 2, .logit_rows = 0});
  cost.tokens = static_cast<double>(tokens);
  return cost;
}

}  // namespace

absl::StatusOr<FciCost> TimeRecompute(const model::Transformer& model, int64_t tokens) {
  const Sequence sequence = Draw(tokens, model.config().vocab_size);
  FciCost cost;
  absl::Status status;
  const auto run = [&] {
    auto scores =
        model::RecomputeFci(model, sequence.ids, sequence.steps, std::nullopt, {.delta = kDelta});
    status = scores.status();
    if (scores.ok()) cost.scores = *std::move(scores);
  };
  cost.peak = PeakBytesOf(model.weights().begin()->second.device(), run);
  if (!status.ok()) return status;
  cost.step = CostOf(model, tokens, run);
  return cost;
}

FciCost TimeEager(const model::Transformer& model, int64_t tokens) {
  const c10::InferenceMode inference;
  const Sequence sequence = Draw(tokens, model.config().vocab_size);
  const at::Device device = model.weights().begin()->second.device();
  const std::vector<int64_t> wide(sequence.ids.begin(), sequence.ids.end());
  FciCost cost;
  const auto run = [&] {
    EagerAttention attention(sequence.steps, device);
    model.RunAttention(at::tensor(wide).to(device), at::arange(tokens).to(device), attention);
    cost.scores = attention.Scores();
  };
  cost.peak = PeakBytesOf(device, run);
  cost.step = CostOf(model, tokens, run);
  return cost;
}

double RelativeDifference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, greatest = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double one = std::abs(static_cast<double>(a.at(i)) - static_cast<double>(b[i]));
    difference = std::isnan(one) ? INFINITY : std::max(difference, one);
    greatest = std::max(greatest, static_cast<double>(b[i]));
  }
  return greatest > 0 ? difference / greatest : INFINITY;
}

}  // namespace attnrl::bench
