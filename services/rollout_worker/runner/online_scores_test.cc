// SPDX-License-Identifier: Apache-2.0
// Scores added up while decoding against those of a pass of their own.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/model/transformer.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/runner/runner.h"
#include "services/rollout_worker/testing/line_tokenizer.h"

namespace attnrl::rollout {
namespace {

model::ModelConfig Config() {
  model::ModelConfig config;
  config.vocab_size = kLineVocabulary;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.layers = 3;
  config.heads = 6;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.max_position_embeddings = 256;
  config.initializer_range = 0.3;
  return config;
}

std::vector<Request> Requests() {
  std::vector<Request> requests;
  for (uint32_t i = 0; i < 12; ++i) {
    Request request;
    request.id = i;
    for (int32_t token = 0; token < 40; ++token) request.prompt_ids.push_back(token * 5 % 97);
    request.shared = {{{i / 6}, 40}};
    request.max_new_tokens = 20 + 11 * i;
    request.key = {.seed = 3, .purpose = kSampleToken, .node = i};
    request.score_delta = 1 + i % 4;
    requests.push_back(std::move(request));
  }
  return requests;
}

struct Setup {
  bool online = true;
  bool deterministic = false;
  bool with_lines = true;
  int64_t slots = 12;
  int64_t blocks = 200;
};

std::map<uint64_t, Completion> Sample(const Setup& setup, int64_t* preempted = nullptr) {
  const model::ModelConfig config = Config();
  RunnerOptions options;
  options.blocks = setup.blocks;
  options.deterministic = setup.deterministic;
  options.segmenter =
      std::make_shared<const text::StepSegmenter>(MakeLineTokenizer(setup.with_lines));
  options.online_scores = setup.online;
  auto runner = MakeRunner(options, config);
  auto model = MakeModel(config, model::RandomTensors(config, 1, model::DType::kFloat32),
                         setup.deterministic);
  (*runner)->Begin();
  FakeClock clock;
  Stepper stepper({.slots = setup.slots, .max_tokens = 200}, **runner, clock);
  stepper.SetWeights(0, *model);
  std::map<uint64_t, Completion> done;
  std::map<uint32_t, std::vector<Request>> by_delta;  // a pass scores one delta
  for (Request& request : Requests()) {
    by_delta[*request.score_delta].push_back(std::move(request));
  }
  for (auto& [delta, requests] : by_delta) {
    for (Request& request : requests) {
      const absl::Status status = stepper.Submit(std::move(request), [&](Completion completion) {
        const uint64_t id = completion.id;
        done[id] = std::move(completion);
      });
      EXPECT_TRUE(status.ok()) << status;
    }
    while (stepper.Step()) {
      if (preempted != nullptr) *preempted += stepper.report().preempted;
    }
  }
  return done;
}

void ExpectSameScores(const std::map<uint64_t, Completion>& found,
                      const std::map<uint64_t, Completion>& expected) {
  int64_t positive = 0;
  for (const auto& [id, completion] : expected) {
    const Completion& other = found.at(id);
    ASSERT_TRUE(completion.status.ok()) << completion.status;
    ASSERT_TRUE(other.status.ok()) << other.status;
    ASSERT_EQ(other.token_ids, completion.token_ids);
    ASSERT_EQ(other.scores.ends, completion.scores.ends);
    ASSERT_EQ(other.scores.fci.size(), completion.scores.fci.size());
    for (size_t step = 0; step < other.scores.fci.size(); ++step) {
      EXPECT_NEAR(other.scores.fci[step], completion.scores.fci[step], 1e-5)
          << "response " << id << ", step " << step;
      positive += completion.scores.fci[step] > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(positive, 30);
}

TEST(OnlineScores, EqualThoseOfAPassOfTheirOwn) {
  const auto expected = Sample({.online = false});
  bool blank_lines = false, lines = false;
  const text::StepSegmenter segmenter(MakeLineTokenizer(true));
  for (const auto& [id, completion] : expected) {
    auto strongest = text::StepSegmenter::Separator::kNone;
    for (const int32_t token : completion.token_ids) {
      strongest = std::max(strongest, segmenter.Classify(token));
    }
    blank_lines = blank_lines || strongest == text::StepSegmenter::Separator::kBlankLine;
    lines = lines || strongest == text::StepSegmenter::Separator::kLine;
  }
  EXPECT_TRUE(blank_lines && lines) << "both kinds of steps occur";
  ExpectSameScores(Sample({}), expected);
}

TEST(OnlineScores, SurviveAPreemption) {
  int64_t preempted = 0;
  const auto found = Sample({.slots = 12, .blocks = 9}, &preempted);
  EXPECT_GT(preempted, 0);
  ExpectSameScores(found, Sample({.online = false}));
}

TEST(OnlineScores, HaveTheSameBitsInAnyCompanyInTheDeterministicMode) {
  const auto together = Sample({.deterministic = true});
  const auto alone = Sample({.deterministic = true, .slots = 1, .blocks = 9});
  for (const auto& [id, completion] : together) {
    EXPECT_EQ(completion.scores.fci, alone.at(id).scores.fci) << id;
  }
}

TEST(OnlineScores, AResponseWithoutLinesIsScoredByAPass) {
  const auto found = Sample({.with_lines = false});
  const auto expected = Sample({.online = false, .with_lines = false});
  ExpectSameScores(found, expected);
}

}  // namespace
}  // namespace attnrl::rollout
