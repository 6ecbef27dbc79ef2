// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/admission/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace attnrl::scheduler {
namespace {

using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kVocabulary = 50;

// Two samples, of at most three tokens; id 9 stops.
WorkItem Item() {
  WorkItem item;
  item.item = ItemId{7};
  item.version = {3, "digest"};
  item.prompt_ids = {1, 2};
  item.samples = {{.node = 4, .max_new_tokens = 3}, {.node = 5, .max_new_tokens = 3}};
  item.sampling.stop_ids = {9};
  return item;
}

ItemResult Result() {
  ItemResult result;
  result.item = ItemId{7};
  result.version = {3, "digest"};
  result.span = {10, 11};
  for (const uint32_t node : {4u, 5u}) {
    SampleResult sample;
    sample.node = node;
    sample.token_ids = {1, 49, 9};
    sample.logprobs = {-1, 0, -0.5F};
    sample.entropy = {0, 1, 2};
    result.samples.push_back(sample);
  }
  return result;
}

// One step for the prompt, one for the response.
TextTools Text() {
  TextTools text;
  text.steps = [](uint32_t prompt, const std::vector<int32_t>& response) {
    return std::vector<StepRange>{{0, prompt},
                                  {prompt, prompt + static_cast<uint32_t>(response.size())}};
  };
  return text;
}

std::string Refusal(const std::function<void(ItemResult&)>& damage, const WorkItem& item = Item()) {
  ItemResult result = Result();
  damage(result);
  const absl::Status status = AdmitResult(result, item, kVocabulary, Text()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(Admission, TakesAResultAsItIs) {
  const auto admitted = AdmitResult(Result(), Item(), kVocabulary, Text());
  ASSERT_TRUE(admitted.ok()) << admitted.status();
  EXPECT_EQ(**admitted, Result());
}

TEST(Admission, RefusesTokenIdsBeyondTheVocabularyNamingThePlace) {
  EXPECT_EQ(Refusal([](ItemResult& r) { r.samples[1].token_ids[0] = 2147483647; }),
            "item 7, node 5, token 0: id 2147483647; 0 to 49 is allowed");
  EXPECT_EQ(Refusal([](ItemResult& r) { r.samples[0].token_ids[1] = 50; }),
            "item 7, node 4, token 1: id 50; 0 to 49 is allowed");
  EXPECT_EQ(Refusal([](ItemResult& r) { r.samples[0].token_ids[1] = -1; }),
            "item 7, node 4, token 1: id -1; 0 to 49 is allowed");
}

TEST(Admission, RefusesLogProbsThatNoDistributionHas) {
  for (const float bad : {50.0F, 0.001F, kNan, kInfinity, -kInfinity}) {
    EXPECT_THAT(Refusal([bad](ItemResult& r) { r.samples[0].logprobs[2] = bad; }),
                HasSubstr("item 7, node 4, log-prob 2: "));
  }
}

TEST(Admission, RefusesEntropiesThatNoDistributionHas) {
  for (const float bad : {-7.0F, -0.001F, kNan, kInfinity}) {
    EXPECT_THAT(Refusal([bad](ItemResult& r) { r.samples[0].entropy[1] = bad; }),
                HasSubstr("item 7, node 4, entropy 1: "));
  }
}

TEST(Admission, AllowsWhatRoundingMakesOfASureToken) {
  ItemResult result = Result();
  result.samples[0].logprobs[0] = 1e-6F;
  result.samples[0].entropy[0] = -1e-6F;
  EXPECT_TRUE(AdmitResult(result, Item(), kVocabulary, Text()).ok());
}

TEST(Admission, RefusesSpansThatAreNotFiniteOrRunBackwards) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Span bad : {Span{2, 1}, Span{std::nan(""), 1}, Span{1, std::nan("")},
                         Span{1, infinity}, Span{-infinity, 1}, Span{infinity, infinity}}) {
    EXPECT_THAT(Refusal([&](ItemResult& r) { r.span = bad; }), HasSubstr("item 7, span: "));
  }
}

TEST(Admission, RefusesLengthsBeyondTheItems) {
  EXPECT_EQ(Refusal([](ItemResult& r) { r.samples[0].token_ids.assign(4, 9); }),
            "item 7, node 4: 4 tokens; 1 to 3 were asked for");
  EXPECT_EQ(Refusal([](ItemResult& r) { r.samples[0].token_ids.clear(); }),
            "item 7, node 4: 0 tokens; 1 to 3 were asked for");
  EXPECT_EQ(Refusal([](ItemResult& r) { r.samples[0].entropy.pop_back(); }),
            "item 7, node 4: 3 log-probs and 2 entropies for 3 tokens; one of each a token");
}

TEST(Admission, RefusesNodesThatWereNotAskedFor) {
  EXPECT_EQ(Refusal([](ItemResult& r) { std::swap(r.samples[0], r.samples[1]); }),
            "item 7, node 4: node 5 in its place; the nodes in the order in which they were asked "
            "for");
  EXPECT_EQ(Refusal([](ItemResult& r) { r.samples.pop_back(); }),
            "item 7: 1 samples; 2 were asked for");
}

TEST(Admission, RefusesAnEndThatTheTokensDontShow) {
  EXPECT_THAT(Refusal([](ItemResult& r) { r.samples[0].finish = FinishReason::kLength; }),
              HasSubstr("this id is a stop token"));
  EXPECT_THAT(Refusal([](ItemResult& r) { r.samples[0].token_ids[2] = 8; }),
              HasSubstr("this id is no stop token"));
  EXPECT_THAT(Refusal([](ItemResult& r) {
                SampleResult& sample = r.samples[0];
                sample.token_ids = {1};
                sample.logprobs = sample.entropy = {0};
                sample.finish = FinishReason::kLength;
              }),
              HasSubstr("node 4: ended by its limit with 1 tokens; the limit is 3"));
}

TEST(Admission, RefusesOtherWeights) {
  EXPECT_EQ(Refusal([](ItemResult& r) { r.version.number = 2; }),
            "item 7: sampled under W(2); W(3) of digest digest");
  EXPECT_THAT(Refusal([](ItemResult& r) { r.version.digest = "other"; }), HasSubstr("W(3)"));
}

TEST(Admission, RefusesScoresThatAreNotThoseOfTheSteps) {
  WorkItem item = Item();
  item.score_delta = 1;
  const auto scored = [](ItemResult& r) {
    for (SampleResult& sample : r.samples) {
      sample.steps = {{0, 2}, {2, 5}};
      sample.fci = {0, 0.5F};
    }
  };
  ItemResult result = Result();
  scored(result);
  EXPECT_TRUE(AdmitResult(result, item, kVocabulary, Text()).ok());
  const auto refusal = [&](const std::function<void(SampleResult&)>& damage) {
    return Refusal(
        [&](ItemResult& r) {
          scored(r);
          damage(r.samples[0]);
        },
        item);
  };
  EXPECT_THAT(refusal([](SampleResult& s) { s.fci[1] = kNan; }), HasSubstr("node 4, score 1: nan"));
  EXPECT_THAT(refusal([](SampleResult& s) { s.fci[1] = -1; }), HasSubstr("node 4, score 1: -1"));
  EXPECT_THAT(refusal([](SampleResult& s) { s.fci.pop_back(); }), HasSubstr("1 scores"));
  EXPECT_THAT(refusal([](SampleResult& s) { s.steps.pop_back(); }), HasSubstr("another tokenizer"));
  EXPECT_THAT(Refusal(scored), HasSubstr("none were asked for"));
}

TEST(Admission, RefusesNamesThatWouldReachATerminalAsCommands) {
  EXPECT_EQ(CheckMessage(Register{.worker = "worker-0"}), absl::OkStatus());
  EXPECT_EQ(std::string(CheckMessage(Register{}).message()),
            "register: the worker has no name; a unique one is needed");
  EXPECT_THAT(std::string(CheckMessage(Register{.worker = "a\x1b[2J"}).message()),
              HasSubstr("without control characters"));
  EXPECT_THAT(std::string(CheckMessage(Register{.worker = std::string(201, 'a')}).message()),
              HasSubstr("at most 200 bytes"));
}

TEST(Admission, RefusesMoreLeasesThanAWorkerCanHold) {
  EXPECT_EQ(CheckMessage(Renew{std::vector<LeaseId>(kMaxNamedLeases)}), absl::OkStatus());
  EXPECT_EQ(std::string(CheckMessage(Renew{std::vector<LeaseId>(kMaxNamedLeases + 1)}).message()),
            "renew: 4097 leases; at most 4096");
  EXPECT_EQ(CheckMessage(Renew{{LeaseId{1}}, {5}}), absl::OkStatus());
  EXPECT_FALSE(CheckMessage(Renew{{LeaseId{1}}, {5, 6}}).ok());
  EXPECT_FALSE(CheckMessage(GiveBack{std::vector<LeaseId>(kMaxNamedLeases + 1)}).ok());
  EXPECT_FALSE(
      CheckMessage(Register{.worker = "w", .held = std::vector<LeaseRef>(kMaxNamedLeases + 1)})
          .ok());
}

TEST(Admission, RefusesStatisticsThatNoTrainingHas) {
  const double nan = std::nan("");
  TrainStatistics nothing_applies;
  nothing_applies.loss = nothing_applies.kl = nothing_applies.entropy = nan;
  nothing_applies.ratio_max = nothing_applies.grad_norm = nan;
  nothing_applies.importance_mean = nothing_applies.importance_max = nan;
  nothing_applies.importance_truncated = nothing_applies.effective_samples = nan;
  nothing_applies.behaviour_k1 = nothing_applies.behaviour_k3 = nan;
  nothing_applies.clip_low = nothing_applies.clip_high = nan;
  EXPECT_EQ(CheckStatistics(nothing_applies), absl::OkStatus());
  const auto refusal = [](const std::function<void(TrainStatistics&)>& damage) {
    TrainStatistics statistics;
    statistics.train = statistics.sync = statistics.checkpoint = Span{1, 2};
    EXPECT_EQ(CheckStatistics(statistics), absl::OkStatus());
    damage(statistics);
    return std::string(CheckStatistics(statistics).message());
  };
  EXPECT_EQ(refusal([&](TrainStatistics& s) { s.train->start = nan; }),
            "statistics.train: lasts from nan to 2; finite seconds since the epoch, the start not "
            "behind the end");
  EXPECT_THAT(refusal([](TrainStatistics& s) { s.sync->end = 0; }), HasSubstr("statistics.sync"));
  EXPECT_THAT(refusal([&](TrainStatistics& s) { s.checkpoint->end = nan; }),
              HasSubstr("statistics.checkpoint"));
  EXPECT_EQ(refusal([&](TrainStatistics& s) { s.wait_seconds = nan; }),
            "statistics.wait_seconds: nan; a finite number, at least 0");
  EXPECT_EQ(refusal([](TrainStatistics& s) { s.learning_rate = -1; }),
            "statistics.learning_rate: -1; a finite number, at least 0");
  EXPECT_EQ(refusal([](TrainStatistics& s) { s.clip_high = 1.5; }),
            "statistics.clip_high: 1.5; 0 to 1, or NaN");
  EXPECT_EQ(refusal([](TrainStatistics& s) { s.importance_truncated = -0.5; }),
            "statistics.importance_truncated: -0.5; 0 to 1, or NaN");
  EXPECT_EQ(refusal([](TrainStatistics& s) { s.grad_norm = -1; }),
            "statistics.grad_norm: -1; at least 0, or NaN");
}

}  // namespace
}  // namespace attnrl::scheduler
