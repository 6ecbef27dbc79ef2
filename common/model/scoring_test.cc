// SPDX-License-Identifier: Apache-2.0
#include "common/model/scoring.h"

#include <gmock/gmock.h>

#include "common/base/status.h"
#include "common/model/testing/tiny_models.h"

namespace attnrl::model {
namespace {

using testing::HasSubstr;

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
  ExpectRefused(check({std::vector<int32_t>(128, 1), {1}}), "129 tokens; at most 128");
}

}  // namespace
}  // namespace attnrl::model
