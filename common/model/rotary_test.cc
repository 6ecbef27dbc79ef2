// SPDX-License-Identifier: Apache-2.0
#include "common/model/rotary.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "common/model/operators.h"
#include "common/model/testing/tiny_models.h"

namespace attnrl::model {
namespace {

ModelConfig With(double theta, int64_t head_dim, int64_t positions) {
  ModelConfig config = SmallConfig();
  config.rope_theta = theta;
  config.head_dim = head_dim;
  config.max_position_embeddings = positions;
  return config;
}

TEST(Rotary, HoldsCosinesAndSinesOfTheAnglesTwice) {
  for (const ModelConfig& config : {With(10000, 8, 50), With(1e6, 20, 2000), With(500, 2, 3)}) {
    const auto table = RotaryTable(config, at::kCPU);
    const int64_t half = config.head_dim / 2;
    ASSERT_EQ(table->cosine.sizes(),
              (std::vector<int64_t>{config.max_position_embeddings, 1, config.head_dim}));
    ASSERT_EQ(table->sine.sizes(), table->cosine.sizes());
    for (int64_t i = 0; i < half; ++i) {
      const double frequency =
          std::pow(config.rope_theta, -static_cast<double>(i) / static_cast<double>(half));
      for (const int64_t p : {int64_t{0}, int64_t{1}, config.max_position_embeddings - 1}) {
        const double angle = static_cast<double>(p) * frequency;
        const double tolerance = 1e-7 * (1 + angle);  // an angle is a product in float32
        const auto at = [&](const at::Tensor& x, int64_t element) {
          return x[p][0][element].item<double>();
        };
        EXPECT_NEAR(at(table->cosine, i), std::cos(angle), tolerance);
        EXPECT_NEAR(at(table->sine, i), -std::sin(angle), tolerance);
        EXPECT_EQ(at(table->cosine, i + half), at(table->cosine, i));
        EXPECT_EQ(at(table->sine, i + half), -at(table->sine, i));
      }
    }
  }
}

// (pair, inverse frequency) as NumPy computes them in float64 by the formulas of transformers.
using Pairs = std::vector<std::pair<size_t, double>>;

void ExpectFrequencies(const ModelConfig& config, const Pairs& expected) {
  const std::vector<double> frequencies = RotaryFrequencies(config);
  ASSERT_EQ(frequencies.size(), static_cast<size_t>(config.head_dim / 2));
  for (const auto& [pair, frequency] : expected) {
    EXPECT_NEAR(frequencies[pair] / frequency, 1, 1e-12) << pair;
  }
}

TEST(Rotary, StretchesAllWavesAlikeByALinearFactor) {
  ModelConfig config = With(10000, 8, 50);
  config.rope_scaling = {.kind = RopeScaling::Kind::kLinear, .factor = 4};
  ExpectFrequencies(config, {{0, 0.25}, {1, 0.025}, {2, 0.0025}, {3, 0.00025}});
}

TEST(Rotary, StretchesLongWavesAsLlama3Does) {
  ModelConfig config = With(5e5, 128, 50);
  config.rope_scaling = {.kind = RopeScaling::Kind::kLlama3,
                         .factor = 8,
                         .original_positions = 8192,
                         .low_frequency_factor = 1,
                         .high_frequency_factor = 4};
  ExpectFrequencies(config, {{0, 1.0},
                             {20, 0.016560440080994446},
                             {29, 0.002166570763503359},
                             {31, 0.0008567514129196321},
                             {34, 0.00017850781276799638},
                             {40, 3.428102195952591e-05},
                             {63, 3.068925988914511e-07}});
}

TEST(Rotary, StretchesWavesThatTurnSeldomAsYarnDoes) {
  ModelConfig config = With(1e6, 128, 50);
  config.rope_scaling = {
      .kind = RopeScaling::Kind::kYarn, .factor = 4, .original_positions = 32768};
  ExpectFrequencies(config, {{0, 1.0},
                             {20, 0.01333521432163324},
                             {24, 0.005375321490790102},
                             {30, 0.0010643609812470017},
                             {36, 0.00017984115587395423},
                             {45, 1.5107409755953319e-05},
                             {63, 3.102344401879299e-07}});
  config = With(1e4, 16, 50);
  config.rope_scaling = {.kind = RopeScaling::Kind::kYarn,
                         .factor = 2.5,
                         .original_positions = 64,
                         .beta_fast = 16,
                         .beta_slow = 2,
                         .truncate = false};
  ExpectFrequencies(config, {{0, 1.0},
                             {1, 0.18203775081212345},
                             {2, 0.04},
                             {3, 0.012649110640673516},
                             {7, 0.00012649110640673518}});
}

TEST(Rotary, GrowsCosinesAndSinesByTheFactorOfAttention) {
  ModelConfig config = With(10000, 8, 50);
  const auto plain = RotaryTable(config, at::kCPU);
  config.rope_scaling.attention_factor = 1.25;
  const auto grown = RotaryTable(config, at::kCPU);
  EXPECT_TRUE(at::allclose(grown->cosine, plain->cosine * 1.25));
  EXPECT_TRUE(at::allclose(grown->sine, plain->sine * 1.25));
}

TEST(Rotary, IsOneTableForEachSettingWhileSomebodyHoldsIt) {
  const ModelConfig config = With(10000, 8, 64);
  const auto table = RotaryTable(config, at::kCPU);
  ModelConfig same = config;
  same.layers = 7;
  same.vocab_size = 99;
  EXPECT_EQ(RotaryTable(same, at::kCPU), table);
  EXPECT_NE(RotaryTable(With(10001, 8, 64), at::kCPU), table);
  EXPECT_NE(RotaryTable(With(10000, 16, 64), at::kCPU), table);
  EXPECT_NE(RotaryTable(With(10000, 8, 65), at::kCPU), table);
}

TEST(Rotary, ServesTrainingThoughInferenceAskedFirst) {
  const ModelConfig config = With(321, 8, 16);
  std::shared_ptr<const RotaryRows> table;
  {
    const c10::InferenceMode inference;
    table = RotaryTable(config, at::kCPU);
  }
  EXPECT_FALSE(table->cosine.is_inference());
  EXPECT_FALSE(table->sine.is_inference());
}

// What rotary positions are for: a score depends on how far apart query and key are, not on where.
TEST(Rotary, MakesScoresDependOnDistanceAlone) {
  const ModelConfig config = With(10000, 16, 128);
  const auto table = RotaryTable(config, at::kCPU);
  const at::Tensor q = at::cos(at::arange(16).to(at::kFloat)).view({1, 1, 16});
  const at::Tensor k = at::sin(at::arange(16).to(at::kFloat).mul(3)).view({1, 1, 16});
  for (const Operators* operators : {&Operators::Standard(), &Operators::FixedOrder()}) {
    const auto rotate = [&](const at::Tensor& x, int64_t position) {
      return operators->Rotate(x, {table->cosine.narrow(0, position, 1).contiguous(),
                                   table->sine.narrow(0, position, 1).contiguous()});
    };
    const auto score = [&](int64_t query, int64_t key) {
      return (rotate(q, query) * rotate(k, key)).sum().item<double>();
    };
    EXPECT_TRUE(at::equal(rotate(q, 0), q)) << operators->name();
    for (const int64_t distance : {0, 1, 5, 40}) {
      for (const int64_t key : {1, 17, 80}) {
        EXPECT_NEAR(score(key + distance, key), score(distance, 0), 2e-5) << operators->name();
      }
    }
    EXPECT_GT(std::abs(score(5, 0) - score(0, 5)), 0.1) << "the direction counts";
    EXPECT_NEAR(rotate(q, 99).norm().item<double>(), q.norm().item<double>(), 1e-5);
  }
}

}  // namespace
}  // namespace attnrl::model
