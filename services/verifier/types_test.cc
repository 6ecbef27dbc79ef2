// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/types.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace attnrl::verifier {
namespace {

struct Named {
  GradeStatus status;
  const char* name;
  bool verdict;
};

// The table "Verdicts" of services/verifier/README.md: these words are in files of runs.
constexpr Named kStatuses[] = {
    {GradeStatus::kGraded, "graded", true},         {GradeStatus::kNoAnswer, "no_answer", true},
    {GradeStatus::kUnparsable, "unparsable", true}, {GradeStatus::kTimeout, "timeout", false},
    {GradeStatus::kLimit, "limit", true},           {GradeStatus::kCrash, "crash", false},
};

TEST(GradeStatus, HasAWordEach) {
  std::set<std::string_view> words;
  for (const Named& each : kStatuses) {
    EXPECT_EQ(StatusName(each.status), each.name);
    words.insert(StatusName(each.status));
  }
  EXPECT_EQ(words.size(), std::size(kStatuses));
}

TEST(GradeStatus, SaysNothingAboutTheResponseWhereTheGraderFailed) {
  for (const Named& each : kStatuses) EXPECT_EQ(IsVerdict(each.status), each.verdict) << each.name;
}

TEST(GradeStatus, OfAnUnknownNumberIsACrash) {
  const auto newer = static_cast<GradeStatus>(99);
  EXPECT_EQ(StatusName(newer), "crash");
}

TEST(GradeResult, IsACrashUntilItIsSet) {
  const GradeResult result;
  EXPECT_FALSE(IsVerdict(result.status));
  EXPECT_FALSE(result.correct);
  EXPECT_EQ(result.matched, -1);
}

TEST(Bytes, CountTheResponseAndEveryAnswerButNotTheId) {
  EXPECT_EQ(Bytes({"an id", "four", {"1", "", "22"}}), 7u);
  EXPECT_EQ(Bytes({"an id", "", {}}), 0u);
}

}  // namespace
}  // namespace attnrl::verifier
