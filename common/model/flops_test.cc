// SPDX-License-Identifier: Apache-2.0
// The formula against the products that a pass makes.
#include "common/model/flops.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "common/attention/attention.h"
#include "common/model/testing/tiny_models.h"
#include "common/model/transformer.h"

namespace attnrl::model {
namespace {

double counted = 0;  // operations of products so far

class CountedProjection final : public Projection {
 public:
  CountedProjection(std::unique_ptr<const Projection> projection, int64_t weights)
      : projection_(std::move(projection)), weights_(weights) {}
  Products Apply(const at::Tensor& x) const override {
    counted += 2.0 * static_cast<double>(x.size(0) * weights_);
    return projection_->Apply(x);
  }

 private:
  const std::unique_ptr<const Projection> projection_;
  const int64_t weights_;
};

// The standard ones, whose maps are counted by their matrices.
class CountingOperators final : public Operators {
 public:
  const Operators& For(at::ScalarType, const at::Device&, bool) const override { return *this; }
  std::unique_ptr<const Projection> MakeProjection(
      const std::vector<LinearTensors>& maps) const override {
    int64_t weights = 0;
    for (const LinearTensors& map : maps) weights += map.weight->numel();
    return std::make_unique<CountedProjection>(Standard().MakeProjection(maps), weights);
  }
  std::unique_ptr<const Projection> MakeHead(at::Tensor* weight) const override {
    const int64_t weights = weight->numel();
    return std::make_unique<CountedProjection>(Standard().MakeHead(weight), weights);
  }
  at::Tensor Embed(const at::Tensor& table, const at::Tensor& ids) const override {
    return Standard().Embed(table, ids);
  }
  at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) const override {
    return Standard().RmsNorm(x, weight, eps);
  }
  at::Tensor Add(at::Tensor x, const at::Tensor& y) const override {
    return Standard().Add(std::move(x), y);
  }
  at::Tensor GatedSilu(const at::Tensor& gate, const at::Tensor& up) const override {
    return Standard().GatedSilu(gate, up);
  }
  at::Tensor Rotate(const at::Tensor& x, const RotaryRows& rotary) const override {
    return Standard().Rotate(x, rotary);
  }
  at::Tensor LogSoftmax(const at::Tensor& logits) const override {
    return Standard().LogSoftmax(logits);
  }
  std::string_view name() const override { return "counting"; }
};

// By definition, row by row: nothing is masked or padded.
class AttentionByRow final : public attention::Attention {
 public:
  explicit AttentionByRow(std::vector<int64_t> lengths) : lengths_(std::move(lengths)) {}
  at::Tensor Forward(int64_t, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override {
    const int64_t group = q.size(1) / k.size(1);
    const at::Tensor result = at::empty_like(q);
    int64_t first = 0;
    for (const int64_t length : lengths_) {
      for (int64_t i = 0; i < length; ++i) {
        for (int64_t head = 0; head < q.size(1); ++head) {
          const auto seen = [&](const at::Tensor& of) {
            return of.narrow(0, first, i + 1).select(1, head / group);
          };
          const at::Tensor query = q[first + i][head].unsqueeze(0);
          const at::Tensor weights = Product(query, seen(k).t()).softmax(-1);
          result[first + i][head].copy_(Product(weights, seen(v)).squeeze(0));
        }
      }
      first += length;
    }
    return result;
  }

 private:
  static at::Tensor Product(const at::Tensor& a, const at::Tensor& b) {
    counted += 2.0 * static_cast<double>(a.size(0) * a.size(1) * b.size(1));
    return at::mm(a, b);
  }

  const std::vector<int64_t> lengths_;
};

void ExpectCounted(const ModelConfig& config) {
  const CountingOperators operators;
  const Transformer transformer(config, RandomTensors(config, 3, DType::kFloat32), operators);
  AttentionByRow attention({5, 3});
  const at::Tensor positions = at::cat({at::arange(5), at::arange(3)});
  counted = 0;
  const at::Tensor hidden = transformer.Hidden(at::arange(8), positions, attention);
  transformer.Logits(hidden.narrow(0, 2, 4));
  EXPECT_EQ(ForwardFlops(config, {.rows = 8, .attended = 15 + 6, .logit_rows = 4}), counted);
}

TEST(ForwardFlops, AreTheProductsOfAPass) {
  ModelConfig config = SmallConfig();
  ExpectCounted(config);
  config.tie_word_embeddings = true;
  config.head_dim = 16;  // heads * head_dim isn't the hidden size
  config.architecture = Architecture::kQwen3;
  config.qkv_bias = false;
  config.qk_norm = true;
  ExpectCounted(config);
}

}  // namespace
}  // namespace attnrl::model
