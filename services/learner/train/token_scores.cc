// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/token_scores.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/model/operators.h"

namespace attnrl::learner {
namespace {

void Check(cuda::LaunchError error) {
  if (error != nullptr) throw std::runtime_error(error);
}

// Null where the tensor is undefined.
float* FloatsOf(const at::Tensor& x) { return x.defined() ? x.mutable_data_ptr<float>() : nullptr; }

// The weight that makes the logits in float32, where it is trained and Transformer::Logits would
// widen it in each call; undefined where that has it ready.
at::Tensor TrainedHead(const model::Transformer& transformer) {
  const auto head = transformer.weights().find(HeadName(transformer.config()));
  if (head == transformer.weights().end() || !head->second.requires_grad()) return {};
  return model::AtLeastFloat32(head->second);
}

// Rows of `logits` one block after the other, each with the number of its first row: what is
// computed between takes that block's memory again instead of all logits' (and stays in the cache).
template <typename Use>
void ForEachBlock(const at::Tensor& logits, const Use& use) {
  constexpr int64_t kBlockBytes = int64_t{8} << 20;
  const int64_t row_bytes = logits.size(1) * static_cast<int64_t>(logits.element_size());
  const int64_t most = std::max(int64_t{1}, kBlockBytes / std::max(int64_t{1}, row_bytes));
  for (int64_t first = 0; first < logits.size(0); first += most) {
    use(first, logits.narrow(0, first, std::min(most, logits.size(0) - first)));
  }
}

}  // namespace

const char* HeadName(const model::ModelConfig& config) {
  return config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
}

ChunkedScores::ChunkedScores(const Pass& pass, int64_t vocabulary, double temperature,
                             Logits logits, const ScoreKernels* kernels)
    : logits_(std::move(logits)),
      kernels_(kernels == nullptr && pass.ids.is_cuda() ? GpuScoreKernels() : kernels),
      temperature_(temperature == 0 ? 1 : temperature),
      tokens_(pass.targets.numel()) {
  const int64_t rows = pass.scored.numel();
  const int64_t size =
      std::max(int64_t{1}, kLogitBytes / (static_cast<int64_t>(sizeof(float)) * vocabulary));
  for (int64_t first = 0; first < rows; first += size) {
    Chunk chunk;
    chunk.first = first;
    chunk.rows = std::min(size, rows - first);
    const int64_t begin = pass.first_by_row[static_cast<size_t>(first)];
    const int64_t end = pass.first_by_row[static_cast<size_t>(first + chunk.rows)];
    chunk.tokens = pass.by_row.narrow(0, begin, end - begin);
    chunk.row = pass.scored_by.index_select(0, chunk.tokens) - first;
    const at::Tensor targets = pass.targets.index_select(0, chunk.tokens);
    chunk.element = chunk.row * vocabulary + targets;
    if (kernels_ != nullptr) {
      // Rows are in order, each with at least one token.
      chunk.first_token =
          at::searchsorted(chunk.row, at::arange(chunk.rows + 1, chunk.row.options()),
                           /*out_int32=*/true, /*right=*/false);
      chunk.ids = targets.to(at::kInt);
    }
    chunks_.push_back(std::move(chunk));
  }
}

at::Tensor ChunkedScores::LogitsOf(const at::Tensor& hidden, const Chunk& chunk) const {
  at::Tensor logits = logits_(hidden.narrow(0, chunk.first, chunk.rows)).contiguous();
  return temperature_ == 1 || kernels_ != nullptr ? logits : logits.div_(temperature_);
}

ChunkedScores::RowScores ChunkedScores::Score(const at::Tensor& logits, const Chunk& chunk,
                                              bool entropy) const {
  RowScores scores;
  scores.log_sum = at::empty({chunk.rows}, logits.options());
  if (entropy) scores.entropy = at::empty({chunk.rows}, logits.options());
  ForEachBlock(logits, [&](int64_t first, const at::Tensor& block) {
    const at::Tensor log_sum = block.logsumexp(-1);
    scores.log_sum.narrow(0, first, block.size(0)).copy_(log_sum);
    if (!entropy) return;
    at::Tensor probabilities = (block - log_sum.unsqueeze(-1)).exp_();
    scores.entropy.narrow(0, first, block.size(0))
        .copy_(log_sum - probabilities.mul_(block).sum(-1));
  });
  scores.logprobs =
      logits.view(-1).index_select(0, chunk.element) - scores.log_sum.index_select(0, chunk.row);
  return scores;
}

ChunkedScores::RowScores ChunkedScores::ScoreByKernel(const at::Tensor& logits, const Chunk& chunk,
                                                      bool entropy) const {
  const c10::DeviceGuard here(logits.device());
  RowScores scores;
  scores.log_sum = at::empty({chunk.rows}, logits.options());
  if (entropy) scores.entropy = at::empty({chunk.rows}, logits.options());
  scores.logprobs = at::empty({chunk.tokens.numel()}, logits.options());
  Check(kernels_->Scores({.logits = logits.mutable_data_ptr<float>(),
                          .vocabulary = logits.size(1),
                          .inverse_temperature = static_cast<float>(1 / temperature_),
                          .first_token = chunk.first_token.const_data_ptr<int32_t>(),
                          .ids = chunk.ids.const_data_ptr<int32_t>(),
                          .log_sum = scores.log_sum.mutable_data_ptr<float>(),
                          .entropy = FloatsOf(scores.entropy),
                          .logprobs = scores.logprobs.mutable_data_ptr<float>()},
                         chunk.rows));
  return scores;
}

model::TokenScores ChunkedScores::Forward(const at::Tensor& hidden, bool entropy) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> log_sums, entropies;
  model::TokenScores scores;
  for (const Chunk& chunk : chunks_) {
    const at::Tensor logits = LogitsOf(hidden, chunk);
    const RowScores rows =
        kernels_ != nullptr ? ScoreByKernel(logits, chunk, entropy) : Score(logits, chunk, entropy);
    if (!scores.logprobs.defined()) scores.logprobs = at::empty({tokens_}, logits.options());
    scores.logprobs.index_copy_(0, chunk.tokens, rows.logprobs);
    log_sums.push_back(rows.log_sum);
    if (chunks_.size() == 1) logits_of_all_ = logits;
    if (!entropy) continue;
    entropies.push_back(rows.entropy);
    if (!scores.entropy.defined()) scores.entropy = at::empty({tokens_}, logits.options());
    scores.entropy.index_copy_(0, chunk.tokens, rows.entropy.index_select(0, chunk.row));
  }
  log_sum_ = at::cat(log_sums);
  if (entropy) entropy_ = at::cat(entropies);
  return scores;
}

// With p = softmax(z): d logprob(t) / dz = onehot(t) - p, d entropy / dz = -p (log p + entropy).
void ChunkedScores::Differentiate(at::Tensor& logits, const Chunk& chunk,
                                  const at::Tensor& of_logprobs,
                                  const at::Tensor& of_entropies) const {
  const auto sum_by_row = [&](const at::Tensor& of_tokens) {
    return at::zeros({chunk.rows}, of_tokens.options())
        .index_add_(0, chunk.row, of_tokens)
        .unsqueeze(-1);
  };
  const at::Tensor log_sum = log_sum_.narrow(0, chunk.first, chunk.rows).unsqueeze(-1);
  const at::Tensor each = sum_by_row(of_logprobs);
  at::Tensor entropy, of_entropy;
  if (of_entropies.defined()) {
    entropy = entropy_.narrow(0, chunk.first, chunk.rows).unsqueeze(-1);
    of_entropy = sum_by_row(of_entropies);
  }
  ForEachBlock(logits, [&](int64_t first, at::Tensor block) {
    const int64_t rows = block.size(0);
    block.sub_(log_sum.narrow(0, first, rows));
    if (!entropy.defined()) {
      block.exp_().mul_(each.narrow(0, first, rows).neg());
      return;
    }
    const at::Tensor factor = (block + entropy.narrow(0, first, rows))
                                  .mul_(of_entropy.narrow(0, first, rows))
                                  .add_(each.narrow(0, first, rows))
                                  .neg_();
    block.exp_().mul_(factor);
  });
  logits.view(-1).index_add_(0, chunk.element, of_logprobs);
  if (temperature_ != 1) logits.div_(temperature_);
}

void ChunkedScores::DifferentiateByKernel(const at::Tensor& logits, const Chunk& chunk,
                                          const at::Tensor& of_logprobs,
                                          const at::Tensor& of_entropies) const {
  const c10::DeviceGuard here(logits.device());
  at::Tensor log_sum = log_sum_.narrow(0, chunk.first, chunk.rows);
  const at::Tensor entropy =
      entropy_.defined() ? entropy_.narrow(0, chunk.first, chunk.rows) : at::Tensor();
  Check(kernels_->Gradient(
      {.logits = logits.mutable_data_ptr<float>(),
       .vocabulary = logits.size(1),
       .inverse_temperature = static_cast<float>(1 / temperature_),
       .first_token = chunk.first_token.const_data_ptr<int32_t>(),
       .ids = chunk.ids.const_data_ptr<int32_t>(),
       .log_sum = log_sum.mutable_data_ptr<float>(),
       .entropy = FloatsOf(entropy),
       .logprob_gradient = of_logprobs.const_data_ptr<float>(),
       .entropy_gradient = of_entropies.defined() ? of_entropies.const_data_ptr<float>() : nullptr},
      chunk.rows));
}

at::Tensor ChunkedScores::Backward(const at::Tensor& hidden, const at::Tensor& logprob_gradient,
                                   const at::Tensor& entropy_gradient, const at::Tensor& weight,
                                   at::Tensor weight_gradient) {
  const at::NoGradGuard no_grad;
  if (entropy_gradient.defined() && !entropy_.defined()) {
    throw std::logic_error("the entropy was not computed");
  }
  std::vector<at::Tensor> gradients;
  for (const Chunk& chunk : chunks_) {
    at::Tensor gradient =
        logits_of_all_.defined() ? std::exchange(logits_of_all_, {}) : LogitsOf(hidden, chunk);
    const at::Tensor of_logprobs = logprob_gradient.index_select(0, chunk.tokens);
    const at::Tensor of_entropies =
        entropy_gradient.defined() ? entropy_gradient.index_select(0, chunk.tokens) : at::Tensor();
    if (kernels_ != nullptr) {
      DifferentiateByKernel(gradient, chunk, of_logprobs, of_entropies);
    } else {
      Differentiate(gradient, chunk, of_logprobs, of_entropies);
    }
    const at::Tensor states = hidden.narrow(0, chunk.first, chunk.rows).to(gradient.scalar_type());
    if (weight_gradient.defined()) weight_gradient.addmm_(gradient.t(), states);
    gradients.push_back(gradient.mm(weight));
  }
  return at::cat(gradients);
}

model::TokenScores ScorePass(const model::Transformer& transformer, const Pass& pass,
                             double temperature, bool entropy) {
  const at::NoGradGuard no_grad;
  const auto attention = MakeAttention(pass, transformer.config(), transformer.weights_dtype());
  const at::Tensor hidden = transformer.Hidden(pass.ids, pass.positions, *attention, pass.scored);
  const at::Tensor head = TrainedHead(transformer);
  ChunkedScores scores(pass, transformer.config().vocab_size, temperature,
                       [&](const at::Tensor& states) {
                         return head.defined() ? at::linear(states.to(head.scalar_type()), head)
                                               : transformer.Logits(states);
                       });
  return scores.Forward(hidden, entropy);
}

at::Tensor ReferenceLogprobs(const Reference& reference, const Pass& pass, double temperature) {
  const at::NoGradGuard no_grad;
  const auto attention = MakeAttention(pass, reference.config(), reference.dtype());
  const at::Tensor hidden = reference.Hidden(pass.ids, pass.positions, *attention, pass.scored);
  ChunkedScores scores(pass, reference.config().vocab_size, temperature, reference.MakeLogits());
  return scores.Forward(hidden, /*entropy=*/false).logprobs;
}

}  // namespace attnrl::learner
