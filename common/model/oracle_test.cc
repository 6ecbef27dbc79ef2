// SPDX-License-Identifier: Apache-2.0
// The forward pass against Hugging Face transformers (expected values beside the repository).
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <map>

#include "common/attention/paged/paged_attention.h"
#include "common/attention/paged/testing/block_tree.h"
#include "common/model/scoring.h"
#include "common/model/testing/tiny_models.h"
#include "common/model/transformer.h"

namespace attnrl::model {
namespace {

constexpr double kTolerance = 1e-4;

class Oracle : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    folder_ = SharedData("data/oracle/" + GetParam());
    expected_ = SharedData("data/oracle/model/" + GetParam());
    if (!std::filesystem::exists(expected_)) GTEST_SKIP() << expected_ << " is not there";
  }

  Transformer Load(const Operators& operators) const {
    const auto config = LoadModelConfig(folder_);
    EXPECT_TRUE(config.ok()) << config.status();
    auto weights = LoadTensors(folder_, *config, config->dtype, at::kCPU);
    EXPECT_TRUE(weights.ok()) << weights.status();
    return Transformer(*config, *std::move(weights), operators);
  }

  double WorstScore(const Operators& operators) const {
    std::vector<ScoreRequest> requests;
    std::vector<std::string> ids;
    for (const auto& line : ReadLines(expected_ + "/sequences.jsonl")) {
      requests.push_back({line["prompt_ids"], line["response_ids"]});
      ids.push_back(line["id"]);
    }
    const Transformer transformer = Load(operators);
    const std::vector<SequenceScores> scores = ScoreSequences(transformer, requests, 300);
    std::map<std::string, nlohmann::json> expected;
    for (auto& line : ReadLines(expected_ + "/expected.jsonl")) expected[line["id"]] = line;
    double worst = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      const std::vector<double> logprobs = expected.at(ids[i])["logprobs"];
      const std::vector<double> entropy = expected.at(ids[i])["entropy"];
      EXPECT_EQ(logprobs.size(), scores[i].logprobs.size());
      for (size_t t = 0; t < logprobs.size(); ++t) {
        worst = std::max(worst, std::abs(logprobs[t] - static_cast<double>(scores[i].logprobs[t])));
        worst = std::max(worst, std::abs(entropy[t] - static_cast<double>(scores[i].entropy[t])));
      }
    }
    return worst;
  }

  // 24 greedy tokens through a KV cache: the prompt in two pieces, then token by token, all records
  // of the file at once.
  using Kernels = attention::PagedAttention::Kernels;
  void ExpectGreedy(const Operators& operators, Kernels kernels = Kernels::kBest) const {
    const c10::InferenceMode inference;
    const Transformer transformer = Load(operators);
    const ModelConfig& config = transformer.config();
    const auto records = ReadLines(expected_ + "/greedy.jsonl");
    std::vector<std::vector<int64_t>> tokens;
    for (const auto& record : records) tokens.push_back(record["prompt_ids"]);
    std::vector<int64_t> past(tokens.size(), 0);
    attention::PagedKvCache cache(
        {config.layers, static_cast<int64_t>(tokens.size()) * 8, config.kv_heads, config.head_dim},
        at::kFloat, at::kCPU);
    attention::BlockTree tree;
    for (size_t i = 0; i < tokens.size(); ++i) tree.Add();
    const auto step = [&](const std::vector<int64_t>& rows) {
      std::vector<int64_t> ids, positions, last;
      std::vector<attention::RowGroup> groups;
      for (size_t i = 0; i < tokens.size(); ++i) {
        tree.Extend(i, rows[i]);
        groups.push_back(tree.Rows(i, past[i], rows[i]));
        for (int64_t r = 0; r < rows[i]; ++r, ++past[i]) {
          ids.push_back(tokens[i][static_cast<size_t>(past[i])]);
          positions.push_back(past[i]);
        }
        last.push_back(static_cast<int64_t>(ids.size()) - 1);
      }
      attention::AttentionPlan plan;
      plan.Build(groups);
      attention::PagedAttention attention(cache, plan, kernels);
      const at::Tensor hidden =
          transformer.Hidden(at::tensor(ids), at::tensor(positions), attention);
      return transformer.Logits(hidden.index_select(0, at::tensor(last))).argmax(-1);
    };
    std::vector<int64_t> rest;
    for (const auto& sequence : tokens) rest.push_back(static_cast<int64_t>(sequence.size()) - 7);
    step(std::vector<int64_t>(tokens.size(), 7));
    at::Tensor next = step(rest);
    for (int i = 0; i < 24; ++i) {
      for (size_t s = 0; s < tokens.size(); ++s) {
        tokens[s].push_back(next[static_cast<int64_t>(s)].item<int64_t>());
      }
      if (i < 23) next = step(std::vector<int64_t>(tokens.size(), 1));
    }
    for (size_t s = 0; s < tokens.size(); ++s) {
      const std::vector<int64_t> expected = records[s]["continuation_ids"];
      EXPECT_EQ(std::vector<int64_t>(tokens[s].end() - 24, tokens[s].end()), expected);
    }
  }

  std::string folder_;
  std::string expected_;
};

TEST_P(Oracle, LogProbsAndEntropiesAreThoseOfTransformers) {
  const double worst = WorstScore(Operators::Standard());
  std::cout << "worst difference " << worst << std::endl;
  EXPECT_LT(worst, kTolerance);
}

TEST_P(Oracle, FixedOrderKernelsGiveThemToo) {
  const double worst = WorstScore(Operators::FixedOrder());
  std::cout << "worst difference " << worst << std::endl;
  EXPECT_LT(worst, kTolerance);
}

TEST_P(Oracle, GreedyTokensFromTheCacheAreThoseOfTransformers) {
  ExpectGreedy(Operators::Standard());
  ExpectGreedy(Operators::Standard(), Kernels::kAten);
}

TEST_P(Oracle, GreedyTokensFromFixedOrderKernelsAreThoseOfTransformers) {
  ExpectGreedy(Operators::FixedOrder());
}

TEST_P(Oracle, EndTokensComeFromTheFolder) {
  const auto ids = LoadEndTokens(folder_);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(*ids, std::vector<int32_t>{2});
}

INSTANTIATE_TEST_SUITE_P(Models, Oracle, testing::ValuesIn(OracleModels()), [](const auto& test) {
  return test.param.substr(0, test.param.find('-'));
});

}  // namespace
}  // namespace attnrl::model
