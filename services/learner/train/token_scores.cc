// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/token_scores.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace attnrl::learner {
namespace {

// A product with fewer rows than some hundred is slower for each of them, so not much less.
constexpr int64_t kChunkBytes = int64_t{256} << 20;

}  // namespace

ChunkedScores::ChunkedScores(const Pass& pass, int64_t vocabulary, double temperature,
                             Logits logits)
    : logits_(std::move(logits)),
      temperature_(temperature == 0 ? 1 : temperature),
      tokens_(pass.targets.numel()) {
  const int64_t rows = pass.scored.numel();
  const int64_t size =
      std::max(int64_t{1}, kChunkBytes / (static_cast<int64_t>(sizeof(float)) * vocabulary));
  for (int64_t first = 0; first < rows; first += size) {
    Chunk chunk;
    chunk.first = first;
    chunk.rows = std::min(size, rows - first);
    const int64_t begin = pass.first_by_row[static_cast<size_t>(first)];
    const int64_t end = pass.first_by_row[static_cast<size_t>(first + chunk.rows)];
    chunk.tokens = pass.by_row.narrow(0, begin, end - begin);
    chunk.row = pass.scored_by.index_select(0, chunk.tokens) - first;
    chunk.element = chunk.row * vocabulary + pass.targets.index_select(0, chunk.tokens);
    chunks_.push_back(std::move(chunk));
  }
}

at::Tensor ChunkedScores::ScaledLogits(const at::Tensor& hidden, const Chunk& chunk) const {
  at::Tensor logits = logits_(hidden.narrow(0, chunk.first, chunk.rows)).contiguous();
  return temperature_ == 1 ? logits : logits.div_(temperature_);
}

at::Tensor ChunkedScores::LogProbs(const at::Tensor& hidden, const Chunk& chunk) {
  at::Tensor logits =
      logits_of_all_.defined() ? std::exchange(logits_of_all_, {}) : ScaledLogits(hidden, chunk);
  return logits.sub_(log_sum_.narrow(0, chunk.first, chunk.rows).unsqueeze(-1));
}

model::TokenScores ChunkedScores::Forward(const at::Tensor& hidden, bool entropy) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> log_sums, entropies;
  model::TokenScores scores;
  for (const Chunk& chunk : chunks_) {
    at::Tensor logits = ScaledLogits(hidden, chunk);
    const at::Tensor log_sum = logits.logsumexp(-1);
    const at::Tensor of_targets = logits.view(-1).index_select(0, chunk.element);
    if (!scores.logprobs.defined()) scores.logprobs = at::empty({tokens_}, logits.options());
    scores.logprobs.index_copy_(0, chunk.tokens, of_targets - log_sum.index_select(0, chunk.row));
    log_sums.push_back(log_sum);
    if (chunks_.size() == 1) logits_of_all_ = logits;
    if (!entropy) continue;
    at::Tensor probabilities = (logits - log_sum.unsqueeze(-1)).exp_();
    entropies.push_back(log_sum - probabilities.mul_(logits).sum(-1));
    if (!scores.entropy.defined()) scores.entropy = at::empty({tokens_}, logits.options());
    scores.entropy.index_copy_(0, chunk.tokens, entropies.back().index_select(0, chunk.row));
  }
  log_sum_ = at::cat(log_sums);
  if (entropy) entropy_ = at::cat(entropies);
  return scores;
}

// With p = softmax(z): d logprob(t) / dz = onehot(t) - p, d entropy / dz = -p (log p + entropy).
at::Tensor ChunkedScores::Backward(const at::Tensor& hidden, const at::Tensor& logprob_gradient,
                                   const at::Tensor& entropy_gradient, const at::Tensor& weight,
                                   at::Tensor weight_gradient) {
  const at::NoGradGuard no_grad;
  if (entropy_gradient.defined() && !entropy_.defined()) {
    throw std::logic_error("the entropy was not computed");
  }
  std::vector<at::Tensor> gradients;
  for (const Chunk& chunk : chunks_) {
    const auto sum_by_row = [&](const at::Tensor& of_tokens) {
      return at::zeros({chunk.rows}, of_tokens.options())
          .index_add_(0, chunk.row, of_tokens.index_select(0, chunk.tokens))
          .unsqueeze(-1);
    };
    at::Tensor gradient = LogProbs(hidden, chunk);
    const at::Tensor each = sum_by_row(logprob_gradient);
    if (entropy_gradient.defined()) {
      const at::Tensor of_entropy = sum_by_row(entropy_gradient);
      const at::Tensor factor =
          (gradient + entropy_.narrow(0, chunk.first, chunk.rows).unsqueeze(-1))
              .mul_(of_entropy)
              .add_(each)
              .neg_();
      gradient.exp_().mul_(factor);
    } else {
      gradient.exp_().mul_(each.neg());
    }
    gradient.view(-1).index_add_(0, chunk.element, logprob_gradient.index_select(0, chunk.tokens));
    if (temperature_ != 1) gradient.div_(temperature_);
    const at::Tensor states = hidden.narrow(0, chunk.first, chunk.rows).to(gradient.scalar_type());
    if (weight_gradient.defined()) weight_gradient.addmm_(gradient.t(), states);
    gradients.push_back(gradient.mm(weight));
  }
  return at::cat(gradients);
}

model::TokenScores ScorePass(const model::Transformer& transformer, const Pass& pass,
                             double temperature, bool entropy) {
  const at::NoGradGuard no_grad;
  const auto attention = MakeAttention(pass);
  const at::Tensor hidden = transformer.Hidden(pass.ids, pass.positions, *attention);
  ChunkedScores scores(pass, transformer.config().vocab_size, temperature,
                       [&](const at::Tensor& states) { return transformer.Logits(states); });
  return scores.Forward(hidden.index_select(0, pass.scored), entropy);
}

}  // namespace attnrl::learner
