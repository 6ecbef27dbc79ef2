// SPDX-License-Identifier: Apache-2.0
#include "common/model/scoring.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include <cmath>

#include "common/attention/dense_attention.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/model/testing/tiny_models.h"

namespace attnrl::model {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

void ExpectRefused(const absl::Status& status, const std::string& part) {
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(ScoreRequest, IsCheckedAgainstTheModel) {
  const ModelConfig config = SmallConfig();
  const auto check = [&](const ScoreRequest& request) {
    return CheckScoreRequest("f:1", config, request);
  };
  EXPECT_TRUE(check({{1}, {39}}).ok());
  ExpectRefused(check({{}, {1}}), "f:1: field \"prompt_ids\" is empty");
  ExpectRefused(check({{1}, {}}), "f:1: field \"response_ids\" is empty");
  ExpectRefused(check({{1}, {40}}), "holds token 40; ids from 0 to 39");
  ExpectRefused(check({{-1}, {3}}), "holds token -1");
  ExpectRefused(check({{0}, {3, INT32_MAX}}), "field \"response_ids\" holds token 2147483647");
  EXPECT_TRUE(check({std::vector<int32_t>(127, 1), {0}}).ok());
  ExpectRefused(check({std::vector<int32_t>(128, 1), {1}}), "129 tokens; at most 128");
}

std::vector<ScoreRequest> SomeRequests() {
  RandomStream random({.seed = 5});
  const auto tokens = [&](size_t count) {
    std::vector<int32_t> ids;
    while (ids.size() < count) ids.push_back(static_cast<int32_t>(random.Below(40)));
    return ids;
  };
  std::vector<ScoreRequest> requests;
  for (const auto& [prompt, response] :
       std::vector<std::pair<size_t, size_t>>{{1, 1}, {3, 20}, {20, 1}, {1, 30}, {9, 9}, {3, 20}}) {
    requests.push_back({tokens(prompt), tokens(response)});
  }
  return requests;
}

// One sequence alone with the whole of it in the pass, from the definition.
SequenceScores ScoresOf(const Transformer& transformer, const ScoreRequest& request) {
  const c10::InferenceMode inference;
  std::vector<int64_t> ids(request.prompt_ids.begin(), request.prompt_ids.end());
  ids.insert(ids.end(), request.response_ids.begin(), request.response_ids.end());
  const auto length = static_cast<int64_t>(ids.size());
  attention::DenseAttention attention({length});
  const at::Tensor hidden = transformer.Hidden(at::tensor(ids), at::arange(length), attention);
  const at::Tensor logprobs = at::log_softmax(transformer.Logits(hidden).to(at::kDouble), -1);
  SequenceScores scores;
  for (size_t i = request.prompt_ids.size(); i < ids.size(); ++i) {
    const at::Tensor row = logprobs[static_cast<int64_t>(i) - 1];
    scores.logprobs.push_back(row[ids[i]].item<float>());
    scores.entropy.push_back(-(row.exp() * row).sum().item<float>());
  }
  return scores;
}

TEST(ScoreSequences, GivesEachRequestItsOwnScoresHoweverTheyAreCutIntoPasses) {
  const ModelConfig config = SmallConfig();
  const Transformer transformer(config, RandomTensors(config, 2, DType::kFloat32));
  const std::vector<ScoreRequest> requests = SomeRequests();
  for (const int64_t tokens : {1, 20, 45, 4096}) {
    const std::vector<SequenceScores> scores = ScoreSequences(transformer, requests, tokens);
    ASSERT_THAT(scores, SizeIs(requests.size()));
    for (size_t r = 0; r < requests.size(); ++r) {
      const SequenceScores expected = ScoresOf(transformer, requests[r]);
      const auto near = testing::Pointwise(testing::FloatNear(2e-5F), expected.logprobs);
      EXPECT_THAT(scores[r].logprobs, near) << tokens << " " << r;
      EXPECT_THAT(scores[r].entropy,
                  testing::Pointwise(testing::FloatNear(2e-5F), expected.entropy));
    }
  }
  EXPECT_THAT(ScoreSequences(transformer, {}), IsEmpty());
}

}  // namespace
}  // namespace attnrl::model
