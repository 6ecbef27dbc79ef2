// SPDX-License-Identifier: Apache-2.0
#include "services/learner/reference/reference.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/model/decoder_layer.h"
#include "common/model/operators.h"
#include "common/model/rotary.h"
#include "common/model/transformer.h"
#include "services/learner/reference/kept_weights.h"

namespace attnrl::learner {
namespace {

class ResidentReference final : public Reference {
 public:
  ResidentReference(const model::ModelConfig& config, model::Tensors weights)
      : transformer_(config, std::move(weights)) {}

  const model::ModelConfig& config() const override { return transformer_.config(); }
  at::ScalarType dtype() const override { return transformer_.weights_dtype(); }
  at::Tensor Hidden(const at::Tensor& ids, const at::Tensor& positions,
                    attention::Attention& attention, const at::Tensor& wanted) const override {
    return transformer_.Hidden(ids, positions, attention, wanted);
  }
  Logits MakeLogits() const override {
    return [this](const at::Tensor& hidden) { return transformer_.Logits(hidden); };
  }

 private:
  const model::Transformer transformer_;
};

// The same operators in the same order as model::Transformer, over weights that come and go.
class KeptReference final : public Reference {
 public:
  KeptReference(const model::ModelConfig& config, std::unique_ptr<const KeptWeights> kept)
      : config_(config),
        kept_(std::move(kept)),
        operators_(
            model::Operators::Standard().For(kept_->dtype(), kept_->device(), /*gradients=*/false)),
        rotary_(model::RotaryTable(config, kept_->device())) {}

  const model::ModelConfig& config() const override { return config_; }
  at::ScalarType dtype() const override { return kept_->dtype(); }

  at::Tensor Hidden(const at::Tensor& ids, const at::Tensor& positions,
                    attention::Attention& attention, const at::Tensor& wanted) const override {
    const model::RotaryRows rotary = model::RotaryAt(*rotary_, positions);
    model::DecoderLayer::Stream stream = {Embed(ids), {}};
    for (int64_t i = 0; i < config_.layers; ++i) {
      model::Tensors weights = kept_->Bring(absl::StrCat("model.layers.", i, "."));
      const model::DecoderLayer layer(config_, i, operators_, weights);
      layer.Run(&stream, &rotary, attention, i + 1 == config_.layers ? wanted : at::Tensor());
      kept_->Drop();
    }
    const at::Tensor norm = operators_.NormWeight(One("model.norm.weight"));
    at::Tensor hidden = operators_.AddAndNorm(&stream.x, stream.added, norm, config_.rms_norm_eps);
    kept_->Drop();
    return hidden;
  }

  Logits MakeLogits() const override {
    if (&operators_ != &model::Operators::Standard() && kept_->device().is_cpu()) {
      return [this](const at::Tensor& hidden) { return LogitsByParts(hidden); };
    }
    at::Tensor weight = One(HeadName());
    const std::shared_ptr<const model::Projection> head(operators_.MakeHead(&weight).release(),
                                                        [this](const model::Projection* made) {
                                                          delete made;
                                                          kept_->Drop();
                                                        });
    return [head](const at::Tensor& hidden) { return head->Apply(hidden).front(); };
  }

 private:
  static constexpr char kEmbedding[] = "model.embed_tokens.weight";

  const char* HeadName() const {
    return config_.tie_word_embeddings ? kEmbedding : "lm_head.weight";
  }

  at::Tensor One(const std::string& name) const { return kept_->Bring(name).at(name); }

  at::Tensor Embed(const at::Tensor& ids) const {
    const at::Tensor table = One(kEmbedding);
    if (!kept_->device().is_cpu()) return operators_.Embed(table, ids);
    // With each row the system maps pages around it: of a few hundred rows nearly the whole table.
    constexpr int64_t kRowsAtOnce = 64;
    std::vector<at::Tensor> parts;
    for (const at::Tensor& some : ids.split(kRowsAtOnce)) {
      parts.push_back(operators_.Embed(table, some));
      kept_->Drop();
    }
    return at::cat(parts);
  }

  // Own products compute a logit alike whichever others are computed with it, so that the largest
  // matrix, the head, need not be there whole.
  at::Tensor LogitsByParts(const at::Tensor& hidden) const {
    const at::Tensor weight = One(HeadName());
    const int64_t vocabulary = weight.size(0);
    at::Tensor logits = at::empty({hidden.size(0), vocabulary}, at::TensorOptions(at::kFloat));
    for (int64_t first = 0; first < vocabulary; first += kHeadRows) {
      const int64_t rows = std::min(kHeadRows, vocabulary - first);
      at::Tensor part = weight.narrow(0, first, rows);
      const auto head = operators_.MakeHead(&part);
      logits.narrow(1, first, rows).copy_(head->Apply(hidden).front());
      kept_->Drop();
    }
    return logits;
  }

  const model::ModelConfig config_;
  const std::unique_ptr<const KeptWeights> kept_;
  const model::Operators& operators_;
  const std::shared_ptr<const model::RotaryRows> rotary_;
};

std::unique_ptr<const KeptWeights> Keep(const model::Tensors& weights,
                                        const ReferenceOptions& options) {
  if (options.place == ReferencePlace::kHost) return KeptWeights::OnHost(weights);
  auto kept = KeptWeights::OnDisk(weights, options.folder);
  if (!kept.ok()) throw ReferenceError(kept.status());
  return *std::move(kept);
}

}  // namespace

std::unique_ptr<const Reference> MakeReference(const model::ModelConfig& config,
                                               model::Tensors weights,
                                               const ReferenceOptions& options) {
  if (options.place == ReferencePlace::kDevice) {
    return std::make_unique<ResidentReference>(config, std::move(weights));
  }
  return std::make_unique<KeptReference>(config, Keep(weights, options));
}

}  // namespace attnrl::learner
