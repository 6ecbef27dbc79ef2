// SPDX-License-Identifier: Apache-2.0
#include "common/model/fci.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <cmath>
#include <iostream>
#include <map>
#include <string>
#include <utility>

#include "common/base/philox.h"
#include "common/kernels/bfloat16/bfloat16_kernels.h"
#include "common/model/testing/tiny_models.h"
#include "common/text/steps.h"

namespace attnrl::model {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

struct Sequence {
  std::vector<int32_t> ids;
  std::vector<StepRange> steps;
  std::optional<int64_t> think_end_step;
  FciRequest Request() const { return {ids, steps, think_end_step}; }
};

std::vector<FciRequest> Requests(const std::vector<Sequence>& sequences) {
  std::vector<FciRequest> requests;
  for (const Sequence& sequence : sequences) requests.push_back(sequence.Request());
  return requests;
}

class FciOracle : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    folder_ = SharedData("data/oracle/" + GetParam());
    expected_ = SharedData("data/oracle/model/" + GetParam());
    if (!std::filesystem::exists(expected_)) GTEST_SKIP() << expected_ << " is not there";
  }

  // The largest difference from the published values, over all sequences in passes of 300 tokens.
  double Worst(const Operators& operators) const {
    const auto config = LoadModelConfig(folder_);
    EXPECT_TRUE(config.ok()) << config.status();
    auto weights = LoadTensors(folder_, *config, DType::kFloat32, at::kCPU);
    EXPECT_TRUE(weights.ok()) << weights.status();
    const Transformer model(*config, *std::move(weights), operators);
    const auto tokenizer = text::Tokenizer::Load(folder_);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    const text::StepSegmenter segmenter(*tokenizer);

    std::vector<Sequence> sequences;
    std::vector<std::string> names;
    for (const auto& line : ReadLines(expected_ + "/sequences.jsonl")) {
      const std::vector<int32_t> prompt = line["prompt_ids"];
      const std::vector<int32_t> response = line["response_ids"];
      Sequence sequence{.ids = prompt, .steps = {}, .think_end_step = std::nullopt};
      sequence.ids.insert(sequence.ids.end(), response.begin(), response.end());
      const auto prompt_tokens = static_cast<int64_t>(prompt.size());
      sequence.steps = segmenter.Segment(prompt_tokens, response);
      sequence.think_end_step = segmenter.ThinkEndStep(prompt_tokens, response, sequence.steps);
      sequences.push_back(sequence);
      names.push_back(line["id"]);
    }
    const auto scores = RecomputeFci(model, Requests(sequences), {}, 300);
    EXPECT_TRUE(scores.ok()) << scores.status();
    std::map<std::string, nlohmann::json> expected;
    for (auto& line : ReadLines(expected_ + "/expected.jsonl")) expected[line["id"]] = line;
    double worst = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::vector<double> fci = expected.at(names[i])["fci"];
      EXPECT_EQ(fci.size(), (*scores)[i].size());
      for (size_t k = 0; k < fci.size(); ++k) {
        worst = std::max(worst, std::abs(fci[k] - static_cast<double>((*scores)[i][k])));
      }
    }
    std::cout << "worst difference " << worst << std::endl;
    return worst;
  }

  std::string folder_;
  std::string expected_;
};

TEST_P(FciOracle, IsThatOfTransformers) { EXPECT_LT(Worst(Operators::Standard()), 3e-5); }

TEST_P(FciOracle, IsThatOfTransformersWithFixedOrderKernels) {
  EXPECT_LT(Worst(Operators::FixedOrder()), 3e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, FciOracle, testing::ValuesIn(OracleModels()),
                         [](const auto& test) {
                           return test.param.substr(0, test.param.find('-'));
                         });

class RecomputedFci : public testing::Test {
 protected:
  ~RecomputedFci() override { at::set_num_threads(threads_); }

  Sequence Random(int64_t tokens, int64_t step) {
    Sequence sequence;
    for (int64_t i = 0; i < tokens; ++i) {
      sequence.ids.push_back(
          static_cast<int32_t>(random_.Below(static_cast<uint64_t>(config_.vocab_size))));
    }
    for (int64_t begin = 0; begin < tokens; begin += step) {
      sequence.steps.emplace_back(begin, std::min(tokens, begin + step));
    }
    return sequence;
  }

  std::string Refusal(const Sequence& sequence, const FciOptions& options = {}) {
    const auto scores =
        RecomputeFci(model_, sequence.ids, sequence.steps, sequence.think_end_step, options);
    EXPECT_EQ(scores.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(scores.status().message());
  }

  const int threads_ = at::get_num_threads();
  RandomStream random_{{.seed = 5}};
  const ModelConfig config_ = SmallConfig();
  const Transformer model_{config_, RandomTensors(config_, 1, DType::kFloat32),
                           Operators::FixedOrder()};
};

TEST_F(RecomputedFci, HasTheSameBitsAloneAndInCompanyOnAnyNumberOfThreads) {
  const std::vector<Sequence> sequences = {Random(120, 7), Random(3, 1), Random(64, 64),
                                           Random(97, 5)};
  at::set_num_threads(1);
  const auto together = RecomputeFci(model_, Requests(sequences), {}, 200);
  ASSERT_TRUE(together.ok()) << together.status();
  EXPECT_GT((*together)[0][3], 0);
  at::set_num_threads(3);
  EXPECT_EQ(*RecomputeFci(model_, Requests(sequences), {}), *together);
  for (size_t i = 0; i < sequences.size(); ++i) {
    EXPECT_EQ(*RecomputeFci(model_, sequences[i].ids, sequences[i].steps, std::nullopt, {}),
              (*together)[i]);
  }
}

TEST_F(RecomputedFci, IsTheSameForSequencesLongerThanASliceOfRows) {
  ModelConfig config = config_;
  config.max_position_embeddings = 1400;
  const Tensors weights = RandomTensors(config, 1, DType::kFloat32);
  const Sequence sequence = Random(1300, 100);
  const auto fixed = RecomputeFci(Transformer(config, weights, Operators::FixedOrder()),
                                  sequence.ids, sequence.steps, std::nullopt, {});
  const auto standard =
      RecomputeFci(Transformer(config, weights), sequence.ids, sequence.steps, std::nullopt, {});
  ASSERT_TRUE(fixed.ok() && standard.ok());
  ASSERT_THAT(*fixed, SizeIs(13));
  for (size_t k = 0; k < fixed->size(); ++k) {
    EXPECT_NEAR((*fixed)[k], (*standard)[k], 1e-5F);
    EXPECT_EQ((*fixed)[k] > 0, k >= 2 && k < 9) << k;
  }
}

TEST_F(RecomputedFci, OfABfloat16ModelIsThatOfItsWeights) {
  const Tensors weights = RandomTensors(config_, 1, DType::kBFloat16);
  Tensors wide;
  for (const auto& [name, tensor] : weights) wide[name] = tensor.to(at::kFloat);
  const Sequence sequence = Random(100, 6);
  const auto score = [&](const Tensors& tensors, const Operators& operators) {
    return *RecomputeFci(Transformer(config_, tensors, operators), sequence.ids, sequence.steps,
                         std::nullopt, {});
  };
  const std::vector<float> expected = score(wide, Operators::Standard());
  const std::vector<float> fixed = score(weights, Operators::FixedOrder());
  const std::vector<float> standard = score(weights, Operators::Standard());
  // Kernels for bfloat16 round the inputs of a product too.
  const float near = kernels::UsedBFloat16Kernels() == nullptr ? 1e-5F : 0.02F;
  for (size_t k = 0; k < expected.size(); ++k) {
    EXPECT_NEAR(fixed[k], expected[k], near) << k;
    EXPECT_NEAR(standard[k], expected[k], 0.02F) << k;
  }
}

TEST_F(RecomputedFci, RefusesWhatTheModelCannotScore) {
  Sequence sequence = Random(20, 4);
  EXPECT_THAT(Refusal(sequence, {.delta = -2}), HasSubstr("delta is -2"));
  sequence.steps.pop_back();
  EXPECT_THAT(Refusal(sequence), HasSubstr("end at 16, the sequence has 20 tokens"));
  EXPECT_THAT(Refusal(Random(129, 3)), HasSubstr("128 positions"));
  sequence = Random(20, 4);
  sequence.ids[7] = 40;
  EXPECT_THAT(Refusal(sequence), HasSubstr("token 40"));
  EXPECT_THAT(Refusal(Sequence{}), HasSubstr("no step"));
}

TEST_F(RecomputedFci, OfNothingIsNothing) {
  const auto scores = RecomputeFci(model_, std::span<const FciRequest>(), {});
  ASSERT_TRUE(scores.ok());
  EXPECT_THAT(*scores, SizeIs(0));
}

}  // namespace
}  // namespace attnrl::model
