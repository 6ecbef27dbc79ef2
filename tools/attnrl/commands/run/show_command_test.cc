// SPDX-License-Identifier: Apache-2.0
// `attnrl show` and `attnrl tree` over a run that the test makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/storage/zstd_text.h"
#include "common/text/testing/small_tokenizer.h"
#include "tools/attnrl/testing/captured_output.h"
#include "tools/attnrl/testing/command_test.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;

// Token ids that spell `text` in the tokenizer of the run.
std::string Ids(const std::string& text) {
  return nlohmann::json(std::vector<int32_t>(text.begin(), text.end())).dump();
}

class BatchOfARun : public CommandTest {
 protected:
  BatchOfARun() {
    folder_.Write("run/checkpoints/step-0/tokenizer.json", text::SmallTokenizer().dump());
    Write(3, Branched() + Plain());
  }
  void Write(int64_t batch, const std::string& lines) const {
    folder_.Write("run/trees/batch-" + std::to_string(batch) + ".jsonl", lines);
  }

  // A problem with one response of two steps, one branch of two continuations.
  static std::string Branched() {
    return R"({"batch":3,"position":0,"problem_id":"p-1","kept":"all","prompt_ids":)" +
           Ids("2+2=?\n") + R"(,"responses":[{"token_ids":)" + Ids("so\n4.") +
           R"(,"finish_reason":"stop","version":7,"digest":"00112233445566","worker":"worker-1",)"
           R"("reward":1.0,"verdict":"graded","extracted":"4","steps":[[0,6],[6,9],[9,11]],)"
           R"("fci":[0,0.5,0.015625],"expanded":true,"points":[3],"point_origin":["threshold"],)"
           R"("segments":[[3,0.5],[2,-0.25]],"branches":[{"split":3,"children":[{"token_ids":)" +
           Ids("5!") +
           R"(,"finish_reason":"length","version":8,"worker":"worker-0","reward":0.0,)"
           R"("verdict":"no_answer","extracted":null,"segments":[[3,0.5],[2,-1]]},{"token_ids":)" +
           Ids("4") +
           R"(,"finish_reason":"stop","version":8,"worker":"worker-0","reward":1.0,)"
           R"("verdict":"graded","extracted":"4","segments":null}]}]}]})"
           "\n";
  }
  // One as outcome training leaves it, whose id is a number.
  static std::string Plain() {
    return R"({"batch":3,"position":1,"problem_id":12,"kept":"none","prompt_ids":)" + Ids("?") +
           R"(,"responses":[{"token_ids":[258,33],"finish_reason":"stop","version":7,)"
           R"("worker":"worker-1","reward":0.0,"verdict":"unparsable","extracted":"}{",)"
           R"("steps":null,"fci":null,"segments":null,"branches":[]}]})"
           "\n";
  }

  // What the command prints; it must succeed.
  std::string Output(std::vector<std::string> words) const {
    const CapturedOutput output;
    const absl::Status status = Run(words);
    EXPECT_TRUE(status.ok()) << status;
    return output.out();
  }
  std::string Refusal(const std::vector<std::string>& words) const {
    const CapturedOutput output;
    return Refused(Run(words));
  }

  const std::string run_ = folder_ / "run";
};

constexpr char kFirst[] =
    "problem p-1 (batch 3, position 0, kept: all)\n"
    "  > 2+2=?\n"
    "  response 0: W(7) worker-1, 5 tokens, stop, reward 1.0 (graded, answer 4), advantages "
    "+0.50 x 3, -0.25 x 2\n"
    "    branches at token 3 (threshold, FCI 0.0156)\n"
    "    | so\n"
    "    | 4.\n"
    "    from token 3 (threshold, FCI 0.0156), continuation 0: W(8) worker-0, 2 tokens, length, "
    "reward 0.0 (no_answer, answer -), advantages +0.50 x 3, -1.00 x 2\n"
    "      | 5!\n"
    "    from token 3 (threshold, FCI 0.0156), continuation 1: W(8) worker-0, 1 tokens, stop, "
    "reward 1.0 (graded, answer 4), not trained\n"
    "      | 4\n";
constexpr char kSecond[] =
    "problem 12 (batch 3, position 1, kept: none)\n"
    "  > ?\n"
    "  response 0: W(7) worker-1, 2 tokens, stop, reward 0.0 (unparsable, answer }{), not trained\n"
    "    |  the!\n";

TEST_F(BatchOfARun, IsShownAsThisText) {
  EXPECT_EQ(Output({"show", run_, "--batch", "3"}), std::string(kFirst) + "\n" + kSecond);
}

TEST_F(BatchOfARun, IsShownByProblemWhetherItsIdIsATextOrANumber) {
  EXPECT_EQ(Output({"show", run_, "--batch", "3", "--problem", "p-1"}), kFirst);
  EXPECT_EQ(Output({"show", run_, "--batch", "3", "--problem", "12"}), kSecond);
}

TEST_F(BatchOfARun, MayBeCompressed) {
  folder_.Write("run/trees/batch-6.jsonl.zst", storage::Compress(Branched() + Plain()));
  EXPECT_EQ(Output({"show", run_, "--batch", "6"}), std::string(kFirst) + "\n" + kSecond);
  EXPECT_THAT(Output({"tree", run_, "--batch", "6", "--problem", "p-1"}), HasSubstr("<html"));
  EXPECT_THAT(Refusal({"show", run_, "--batch", "7"}), HasSubstr("the run has batches 3 to 6"));
}

TEST_F(BatchOfARun, OfNoProblemIsNothing) {
  Write(4, "");
  EXPECT_EQ(Output({"show", run_, "--batch", "4"}), "");
  EXPECT_EQ(
      Refusal({"show", run_, "--batch", "4", "--problem", "p-1"}),
      "--problem p-1: there is no such problem in run/trees/batch-4.jsonl; the batch is empty");
}

TEST_F(BatchOfARun, NamesTheLineThatIsNoRecord) {
  Write(5, Plain() + "[1]\n");
  EXPECT_EQ(Refusal({"show", run_, "--batch", "5"}),
            "run/trees/batch-5.jsonl:2: found array; one JSON object a line is needed");
  EXPECT_EQ(Refusal({"tree", run_, "--batch", "5", "--problem", "12"}),
            "run/trees/batch-5.jsonl:2: found array; one JSON object a line is needed");
  Write(5, Plain() + R"({"problem_id":"x","prompt_ids":[63],"responses":[{"token_ids":"no"}]})");
  EXPECT_THAT(Refusal({"show", run_, "--batch", "5"}), HasSubstr("run/trees/batch-5.jsonl:2: "));
  EXPECT_THAT(Refusal({"tree", run_, "--batch", "5", "--problem", "x"}),
              HasSubstr("run/trees/batch-5.jsonl, problem x: record: "));
}

TEST_F(BatchOfARun, ThatIsNotThereIsRefusedWithThoseThatAre) {
  for (const std::string command : {"show", "tree"}) {
    const auto refusal = [&](const std::string& run, const std::string& batch) {
      std::vector<std::string> words = {command, run, "--batch", batch};
      if (command == "tree") words.insert(words.end(), {"--problem", "p-1"});
      return Refusal(words);
    };
    EXPECT_EQ(refusal(run_, "9"),
              "--batch 9: there is no such batch in run/trees; the run has batch 3");
    EXPECT_EQ(refusal(folder_ / "nowhere", "3"),
              "nowhere: there is no such directory; the directory of a run");
    EXPECT_EQ(refusal(folder_ / "run/trees", "3"),
              "run/trees: holds no run: it has no folder trees/; the directory of a run");
    EXPECT_THAT(refusal(run_, "-1"), HasSubstr("--batch: "));
    EXPECT_THAT(refusal(run_, "three"), HasSubstr("--batch"));
  }
  Write(0, "");
  Write(11, "");
  EXPECT_EQ(Refusal({"show", run_, "--batch", "9"}),
            "--batch 9: there is no such batch in run/trees; the run has batches 0 to 11");
}

TEST_F(BatchOfARun, IsReadByTheTokenizerOfAnyCheckpoint) {
  folder_.Write("run/checkpoints/step-0/tokenizer.json", "{");
  folder_.Write("run/checkpoints/step-20/tokenizer.json", text::SmallTokenizer().dump());
  EXPECT_EQ(Output({"show", run_, "--batch", "3"}), std::string(kFirst) + "\n" + kSecond);
  EXPECT_THAT(Output({"tree", run_, "--batch", "3", "--problem", "p-1"}), HasSubstr("<html"));
}

TEST_F(BatchOfARun, NeedsTheTokenizerOfTheRun) {
  folder_.Write("run/checkpoints/step-0/tokenizer.json", "{");
  EXPECT_THAT(Refusal({"show", run_, "--batch", "3"}),
              HasSubstr("run/checkpoints/step-0/tokenizer.json"));
  EXPECT_THAT(Refusal({"tree", run_, "--batch", "3", "--problem", "p-1"}),
              HasSubstr("run/checkpoints/step-0/tokenizer.json"));
}

// The records of a cluster lie on a volume without the learner's checkpoints.
TEST_F(BatchOfARun, WithoutCheckpointsIsReadByTheTokenizerOfAModel) {
  folder_.Write("records/trees/batch-3.jsonl", Branched() + Plain());
  folder_.Write("model/tokenizer.json", text::SmallTokenizer().dump());
  const std::string records = folder_ / "records", model = folder_ / "model";
  EXPECT_EQ(Output({"show", records, "--batch", "3", "--model", model}),
            std::string(kFirst) + "\n" + kSecond);
  EXPECT_THAT(Output({"tree", records, "--batch", "3", "--problem", "p-1", "--model", model}),
              HasSubstr("<html"));
  EXPECT_EQ(Refusal({"show", records, "--batch", "3"}),
            "records/checkpoints: no checkpoint has a tokenizer that can be read; at least one is "
            "needed to show what was sampled, or --model with the run's model");
  EXPECT_THAT(Refusal({"show", run_, "--batch", "3", "--model", folder_ / "none"}),
              HasSubstr("none/tokenizer.json"));
}

TEST_F(BatchOfARun, IsAPageOnStdoutAndTheSamePageInAFile) {
  const std::string page = Output({"tree", run_, "--batch", "3", "--problem", "p-1"});
  EXPECT_THAT(page, HasSubstr("<title>p-1 \u00b7 batch 3</title>"));
  EXPECT_EQ(Output({"tree", run_, "--batch", "3", "--problem", "p-1", "--output", folder_ / "t"}),
            "");
  EXPECT_EQ(folder_.Read("t"), page);
  EXPECT_EQ(
      Refusal({"tree", run_, "--batch", "3", "--problem", "p-1", "--output", folder_ / "no/t"}),
      "--output: there is no folder no; a file in a folder that may be written, or -");
}

}  // namespace
}  // namespace attnrl::tools
