// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/status_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace attnrl::tools {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

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

std::string Text(const scheduler::RunStatus& status) {
  return StatusText(status, "attnrl resume --scheduler runs/a");
}

TEST(StatusText, IsAFewLines) {
  const std::string text = Text(Status());
  EXPECT_THAT(text, HasSubstr("running, 3 of 40 steps\nweights W(3) abcdef012345"));
  EXPECT_THAT(
      text, HasSubstr("worker  worker-0: works on 5 items, room for 64, 7 results, 24.1 k tokens"));
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

TEST(StatusText, CountsTheVerdictsOfTheLastStepInBothForms) {
  scheduler::RunStatus status = Status();
  const std::string verdicts =
      R"({"correct":3,"incorrect":4,"no_answer":1,"unparsable":0,"limit":0,"timeout":0,"crash":0})";
  status.last_metrics_json = R"({"step":2,"verdicts":)" + verdicts + R"(,"truncated_ratio":0.25})";
  EXPECT_THAT(Text(status),
              EndsWith("\nverdicts 3 correct, 4 incorrect, 1 no_answer, 0 unparsable, 0 limit, "
                       "0 timeout, 0 crash; 2 of 8 cut off\n"));
  EXPECT_THAT(StatusJson(status), HasSubstr(R"("verdicts":)" + verdicts));
}

TEST(StatusText, NamesTheBestCheckpointAndWhyItIs) {
  scheduler::RunStatus status = Status();
  status.last_metrics_json = R"({"step":2,"best_checkpoint":20,"best_checkpoint_accuracy":0.4314})";
  EXPECT_THAT(Text(status),
              EndsWith("\nbest checkpoint step-20, accuracy 0.431 over the batches before it\n"));
  status.last_metrics_json = R"({"step":2,"best_checkpoint":null,"best_checkpoint_accuracy":null})";
  EXPECT_THAT(Text(status), Not(HasSubstr("best")));
}

// A run in the middle of two batches.
scheduler::RunStatus Busy() {
  scheduler::RunStatus status = Status();
  status.reason = "asked by \"me\"";
  status.open_items = 12;
  status.active_leases = 5;
  status.epoch = 2;
  status.workers.push_back({"worker-1", 8, 0, 0, 0, "no token in 2m with 9 leases"});
  status.waits = {"the verifier, with 3 items to grade"};
  status.batches.insert(status.batches.begin(), {2, 24, 24, 144, 144, 30, 30, "training"});
  status.batches.push_back({4, 24, 0, 0, 144, 0, 0, "ready"});
  return status;
}

TEST(StatusText, OfABusyRunIsThis) {
  EXPECT_EQ(
      Text(Busy()),
      "running, 3 of 40 steps (asked by \"me\")\n"
      "weights W(3) abcdef012345, 12 open items, 5 of them with workers\n"
      "worker  worker-0: works on 5 items, room for 64, 7 results, 24.1 k tokens\n"
      "worker  worker-1: works on 0 items, room for 8, 0 results, 0 tokens\n"
      "        parked: no token in 2m with 9 leases\n"
      "batch   2 training: 24 of 24 problems graded, 144/144 responses, 30/30 continued\n"
      "batch   3 sampling: 10 of 24 problems graded, 100/144 responses, 0/0 continued\n"
      "batch   4 ready: 0 of 24 problems graded, 0/144 responses, 0/0 continued\n"
      "waits   for the verifier, with 3 items to grade\n"
      "step   3/40  accuracy 0.400  trained 0 samples  sampled 0 tokens (- a response, - % cut)"
      "  entropy -  0.0 s (rollout 0.0, learn 0.0, learner waited 0.0)\n");
}

TEST(StatusText, OfARunThatHasJustStartedIsTwoLines) {
  scheduler::RunStatus status;
  status.state = scheduler::RunState::kStarting;
  status.steps_total = 40;
  EXPECT_EQ(Text(status),
            "starting, 0 of 40 steps\nweights none yet, 0 open items, 0 of them with workers\n");
}

TEST(StatusText, OfAPausedRunSaysHowItGoesOn) {
  scheduler::RunStatus status = Status();
  status.state = scheduler::RunState::kPaused;
  status.reason = "paused: lunch; no worker is connected";
  EXPECT_THAT(Text(status), StartsWith("paused, 3 of 40 steps (lunch; no worker is connected)\n"
                                       "        go on with: attnrl resume --scheduler runs/a\n"
                                       "weights W(3)"));
}

TEST(StatusText, OfEveryStateHasItsWordInBothForms) {
  for (const auto& [state, word] : std::vector<std::pair<scheduler::RunState, std::string>>{
           {scheduler::RunState::kStarting, "starting"},
           {scheduler::RunState::kRunning, "running"},
           {scheduler::RunState::kPaused, "paused"},
           {scheduler::RunState::kDraining, "draining"},
           {scheduler::RunState::kFinished, "finished"}}) {
    scheduler::RunStatus status;
    status.state = state;
    EXPECT_THAT(Text(status), StartsWith(word + ", 0 of 0 steps\n"));
    status.reason = word;
    EXPECT_THAT(Text(status), StartsWith(word + ", 0 of 0 steps\n")) << "not said twice";
    status.reason = word + "; no worker is connected";
    EXPECT_THAT(Text(status), StartsWith(word + ", 0 of 0 steps (no worker is connected)\n"));
    EXPECT_EQ(nlohmann::json::parse(StatusJson(status))["state"], word);
  }
}

TEST(StatusText, GivesTheTerminalNoCommandsFromTheNameOfAWorker) {
  scheduler::RunStatus status = Busy();
  status.workers[0].worker = "\x1b[2Jworker";
  EXPECT_EQ(Text(status).find('\x1b'), std::string::npos);
  EXPECT_NE(Text(status).find("\\x1b[2Jworker"), std::string::npos);
}

TEST(StatusJson, IsTheLineOfTheContract) {
  scheduler::RunStatus status = Busy();
  status.workers.resize(1);
  status.batches.resize(1);
  EXPECT_EQ(
      StatusJson(status),
      R"({"state":"running","reason":"asked by \"me\"","steps_done":3,"steps_total":40,)"
      R"("newest_version":{"number":3,"digest":"abcdef0123456789"},"open_items":12,)"
      R"("active_leases":5,"workers":[{"worker":"worker-0","capacity":64,"leases":5,)"
      R"("generated_tokens":24100,"results":7,"parked":""}],"batches":[{"batch":2,"phase":"training",)"
      R"("problems":24,"graded":24,"initial_done":144,"initial_total":144,)"
      R"("continuation_done":30,"continuation_total":30}],)"
      R"("waits":["the verifier, with 3 items to grade"],)"
      R"("last_metrics":{"step":2,"initial_accuracy":0.4},"epoch":2})");
}

TEST(StatusJson, IsOneLineWhateverTheReasonHolds) {
  scheduler::RunStatus status;
  status.reason = "two\nlines, no UTF-8: \xff";
  status.last_metrics_json = "no JSON";
  const std::string line = StatusJson(status);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(line)["reason"], "two\nlines, no UTF-8: \ufffd");
  EXPECT_TRUE(nlohmann::json::parse(line)["last_metrics"].is_null());
}

TEST(StatusText, WritesNullBeforeTheFirstStep) {
  EXPECT_TRUE(nlohmann::json::parse(StatusJson({}))["last_metrics"].is_null());
}

}  // namespace
}  // namespace attnrl::tools
