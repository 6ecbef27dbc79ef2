// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/overlap.h"

#include <gtest/gtest.h>

#include <string>

#include "common/testing/temporary_folder.h"

namespace attnrl::data_set {
namespace {

TEST(FindOverlap, CountsTrainingProblemsByTheirTextWithoutWhiteSpace) {
  const TemporaryFolder folder{TemporaryFolder::On::kMemory};
  const std::string training = folder.Write("train.jsonl", R"({"problem":"new?"})"
                                                           "\n"
                                                           R"({"problem":"How   many\n eggs?"})"
                                                           "\n"
                                                           R"({"problem":"how many eggs?"})"
                                                           "\n"
                                                           R"({"problem":"2+2?"})"
                                                           "\n");
  const std::string first =
      folder.Write("a.json", R"([{"question":"other?"},{"question":"2+2?"}])");
  const std::string second = folder.Write(
      "b.jsonl",
      "\n"
      R"({"prompt":[{"role":"system","content":"s"},{"role":"user","content":" How many eggs? "}]})");
  const auto overlap = FindOverlap(training, {}, {first, second}, {});
  ASSERT_TRUE(overlap.ok()) << overlap.status();
  EXPECT_EQ(overlap->problems, 2);
  EXPECT_EQ(overlap->training, training + ":2");
  EXPECT_EQ(overlap->evaluation, second + ":2");
  EXPECT_EQ(FindOverlap(training, {}, {}, {})->problems, 0);
}

TEST(FindOverlap, ReadsEachKindOfFileByItsOwnNames) {
  const TemporaryFolder folder{TemporaryFolder::On::kMemory};
  const std::string training = folder.Write("train.jsonl", R"({"text":"2+2?","prompt":"x"})");
  const std::string evaluation = folder.Write("eval.jsonl", R"({"prompt":"2+2?"})");
  EXPECT_EQ(FindOverlap(training, {.question = "text"}, {evaluation},
                        {.question = "text", .or_recognised = true})
                ->problems,
            1);
  EXPECT_FALSE(
      FindOverlap(training, {.question = "text"}, {evaluation}, {.question = "text"}).ok());
}

TEST(FindOverlap, PassesOverBadRecordsWhereThatIsAskedFor) {
  const TemporaryFolder folder{TemporaryFolder::On::kMemory};
  const std::string training = folder.Write("train.jsonl", "nonsense\n{}\n{\"prompt\":\"2+2?\"}");
  const std::string evaluation = folder.Write("eval.jsonl", "{}\n{\"prompt\":\"2+2?\"}");
  FieldNames names;
  EXPECT_FALSE(FindOverlap(training, names, {evaluation}, names).ok());
  names.skip_bad = true;
  const auto overlap = FindOverlap(training, names, {evaluation}, names);
  ASSERT_TRUE(overlap.ok()) << overlap.status();
  EXPECT_EQ(overlap->training, training + ":3");
}

}  // namespace
}  // namespace attnrl::data_set
