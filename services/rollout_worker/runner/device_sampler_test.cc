// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/device_sampler.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/device/testing/fake_device.h"

namespace attnrl::rollout {
namespace {

std::vector<SampledToken> DrawOnDevice(const at::Tensor& logits,
                                       const std::vector<SampledRow>& rows) {
  device::Upload upload;
  DeviceDraws draws(rows, upload);
  upload.Send(device::FakeDevice());
  draws.Receive(upload);
  return FetchTokens(draws.Draw(logits.to(device::FakeDevice()), 0));
}

std::vector<SampledToken> DrawOnHost(const at::Tensor& logits,
                                     const std::vector<SampledRow>& rows) {
  std::vector<SampledToken> tokens;
  Sampler sampler;
  const auto width = static_cast<size_t>(logits.size(1));
  for (size_t i = 0; i < rows.size(); ++i) {
    tokens.push_back(sampler.Sample({logits.const_data_ptr<float>() + i * width, width},
                                    rows[i].params, rows[i].key, rows[i].index));
  }
  return tokens;
}

std::vector<SampledRow> Rows(size_t count, double temperature, uint64_t seed = 1) {
  std::vector<SampledRow> rows(count);
  for (size_t i = 0; i < count; ++i) {
    rows[i].params.temperature = temperature;
    rows[i].key = {.seed = seed, .purpose = kSampleToken};
    rows[i].index = static_cast<uint32_t>(i);
  }
  return rows;
}

// [rows, vocabulary] from almost uniform to almost certain.
at::Tensor SomeLogits(size_t rows, int64_t vocabulary, uint64_t seed) {
  at::Tensor logits = at::empty({static_cast<int64_t>(rows), vocabulary}, at::kFloat);
  auto* next = logits.mutable_data_ptr<float>();
  RandomStream random({.seed = seed});
  for (size_t row = 0; row < rows; ++row) {
    const double spread = 0.1 + 20 * random.Uniform();
    for (int64_t i = 0; i < vocabulary; ++i) {
      *next++ = static_cast<float>(spread * (random.Uniform() - 0.5));
    }
  }
  return logits;
}

TEST(DeviceSampler, DrawsTheTokensOfTheHostsSamplerButWhereRoundingDecides) {
  const c10::InferenceMode inference;
  int64_t draws = 0, others = 0;
  for (const int64_t vocabulary : {40, 1024, 1025, 6000}) {
    for (uint64_t round = 0; round < 5; ++round) {
      const double temperature = round == 0 ? 1 : 0.3 + 0.4 * static_cast<double>(round);
      const std::vector<SampledRow> rows = Rows(1000, temperature, round);
      const at::Tensor logits = SomeLogits(rows.size(), vocabulary, round);
      const std::vector<SampledToken> found = DrawOnDevice(logits, rows);
      const std::vector<SampledToken> wanted = DrawOnHost(logits, rows);
      ASSERT_EQ(found.size(), wanted.size());
      for (size_t i = 0; i < rows.size(); ++i) {
        ++draws;
        ASSERT_NEAR(found[i].entropy, wanted[i].entropy, 1e-5) << vocabulary;
        if (found[i].id == wanted[i].id) {
          ASSERT_NEAR(found[i].logprob, wanted[i].logprob, 1e-5) << vocabulary;
        } else {
          ++others;
        }
      }
    }
  }
  EXPECT_LE(others * 1000, draws) << others << " of " << draws;
}

TEST(DeviceSampler, GreedyRowsTakeTheLowestIdAmongEqualsBesideRowsThatDraw) {
  at::Tensor logits = at::zeros({3, 2000}, at::kFloat);
  logits.index_put_({at::tensor({0, 0, 2}), at::tensor({1500, 1700, 7})}, at::scalar_tensor(9.0F));
  std::vector<SampledRow> rows = Rows(3, 0);
  rows[1].params.temperature = 1;
  const std::vector<SampledToken> found = DrawOnDevice(logits, rows);
  const std::vector<SampledToken> wanted = DrawOnHost(logits, rows);
  EXPECT_EQ(found[0].id, 1500);
  EXPECT_EQ(found[2].id, 7);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(found[i].id, wanted[i].id);
    EXPECT_NEAR(found[i].logprob, wanted[i].logprob, 1e-5);
    EXPECT_NEAR(found[i].entropy, wanted[i].entropy, 1e-5);
  }
}

TEST(DeviceSampler, NeverDrawsATokenWithoutProbability) {
  // Whole blocks without weight, and every second id of the others.
  at::Tensor logits = at::full({500, 5000}, -2000, at::kFloat);
  logits.narrow(1, 1024, 2048).slice(1, 0, 2048, 2).fill_(1);
  for (const SampledToken& token : DrawOnDevice(logits, Rows(500, 1))) {
    ASSERT_GE(token.id, 1024);
    ASSERT_LT(token.id, 3072);
    ASSERT_EQ(token.id % 2, 0);
  }
}

TEST(DeviceSampler, RefusesRowsThatAreNotFiniteAlone) {
  at::Tensor logits = at::zeros({4, 30}, at::kFloat);
  auto* values = logits.mutable_data_ptr<float>();
  values[3] = std::numeric_limits<float>::quiet_NaN();
  values[30 + 4] = std::numeric_limits<float>::infinity();
  values[90 + 5] = -std::numeric_limits<float>::infinity();
  const std::vector<SampledToken> found = DrawOnDevice(logits, Rows(4, 1));
  EXPECT_EQ(found[0].id, -1);
  EXPECT_EQ(found[1].id, -1);
  EXPECT_GE(found[2].id, 0);
  EXPECT_NEAR(found[2].logprob, -std::log(30.0), 1e-6);
  EXPECT_EQ(found[3].id, -1);
}

}  // namespace
}  // namespace attnrl::rollout
