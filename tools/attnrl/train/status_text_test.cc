// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/status_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;

scheduler::RunStatus Status() {
  scheduler::RunStatus status;
  status.state = scheduler::RunState::kRunning;
  status.steps_done = 3;
  status.steps_total = 40;
  status.newest_version = {3, "abcdef0123456789"};
  status.workers.push_back({"worker-0", 64, 5, 24100, 7});
  status.batches.push_back({3, 24, 10, 100, 144, 0, 0, "sampling"});
  status.last_metrics_json = R"({"step":2,"initial_accuracy":0.4})";
  return status;
}

TEST(StatusText, IsAFewLines) {
  const std::string text = StatusText(Status());
  EXPECT_THAT(text, HasSubstr("running, 3 of 40 steps\nweights W(3) abcdef012345"));
  EXPECT_THAT(text, HasSubstr("worker  worker-0: 5 leases, room for 64, 7 results, 24.1 k tokens"));
  EXPECT_THAT(text, HasSubstr("batch   3 sampling: 10 of 24 problems graded, 100/144 responses"));
  EXPECT_THAT(text, HasSubstr("step   3/40  accuracy 0.400"));
}

TEST(StatusText, HasTheSameAsJson) {
  const auto json = nlohmann::json::parse(StatusJson(Status()));
  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["workers"][0]["leases"], 5);
  EXPECT_EQ(json["batches"][0]["initial_total"], 144);
  EXPECT_EQ(json["last_metrics"]["step"], 2);
}

TEST(StatusText, WritesNullBeforeTheFirstStep) {
  EXPECT_TRUE(nlohmann::json::parse(StatusJson({}))["last_metrics"].is_null());
}

}  // namespace
}  // namespace attnrl::tools
