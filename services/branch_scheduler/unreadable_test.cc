// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/unreadable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/verifier/testing/fake_verifier_client.h"

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAre;

// Can't read an answer with a question mark.
verifier::GradeResult Read(const verifier::GradeRequest& request) {
  verifier::GradeResult result;
  result.status = verifier::GradeStatus::kGraded;
  for (const std::string& answer : request.answers) {
    if (answer.find('?') != std::string::npos) result.status = verifier::GradeStatus::kUnparsable;
  }
  return result;
}

bool Never(absl::Duration /*wait*/) { return false; }

DataSet SetOf(const std::vector<std::string>& answers) {
  DataSet set;
  for (size_t i = 0; i < answers.size(); ++i) {
    set.problems.push_back({.id = absl::StrCat("p", i),
                            .prompt_ids = {1},
                            .answers = {"1", answers[i]},
                            .where = absl::StrCat("in:", i + 1)});
  }
  return set;
}

TEST(LeaveOutUnreadable, KeepsTheOthersInTheirOrder) {
  verifier::FakeVerifierClient verifier(Read);
  DataSet set = SetOf({"?", "2", "3", "4?", "5"});
  set.problems[2].grader = "exact_match";
  const auto left_out = LeaveOutUnreadable("math", verifier, Never, set);
  ASSERT_TRUE(left_out.ok()) << left_out.status();
  EXPECT_THAT(left_out->places, ElementsAre("in:1", "in:4"));
  ASSERT_EQ(set.problems.size(), 3u);
  EXPECT_EQ(set.problems[0].id, "p1");
  EXPECT_EQ(set.problems[2].id, "p4");
  ASSERT_EQ(verifier.requests().size(), 5u);
  EXPECT_TRUE(verifier.requests()[0].check);
  EXPECT_EQ(verifier.requests()[0].grader, "math");
  EXPECT_EQ(verifier.requests()[2].grader, "exact_match");
}

TEST(LeaveOutUnreadable, AnotherSelectionHasAnotherDigest) {
  verifier::FakeVerifierClient verifier(Read);
  const auto digest = [&](DataSet set) {
    return LeaveOutUnreadable("math", verifier, Never, set)->digest;
  };
  EXPECT_EQ(digest(SetOf({"1", "2"})), "none");
  EXPECT_EQ(digest(SetOf({"?", "2"})), digest(SetOf({"x?", "3"})));
  EXPECT_NE(digest(SetOf({"?", "2"})), digest(SetOf({"1", "?"})));
}

TEST(LeaveOutUnreadable, AsksAboutEveryProblemOfALargeSet) {
  verifier::FakeVerifierClient verifier(Read);
  std::vector<std::string> answers(10'000, "7");
  answers.back() = "?";
  DataSet set = SetOf(answers);
  const auto left_out = LeaveOutUnreadable("math", verifier, Never, set);
  EXPECT_THAT(left_out->places, ElementsAre("in:10000"));
  EXPECT_EQ(set.problems.size(), 9'999u);
}

TEST(LeaveOutUnreadable, LeavesOutWhatNoCallCarries) {
  verifier::FakeVerifierClient verifier(Read);
  DataSet set = SetOf({"1", std::string(verifier::kMaxBytesPerCall, '1'), "3"});
  EXPECT_THAT(LeaveOutUnreadable("math", verifier, Never, set)->places, ElementsAre("in:2"));
  EXPECT_EQ(verifier.requests().size(), 2u);
}

TEST(LeaveOutUnreadable, WaitsForAVerifierThatIsAwayAndForNoOther) {
  verifier::FakeVerifierClient verifier(Read);
  DataSet set = SetOf({"?", "2"});
  verifier.FailCalls(3, absl::UnavailableError("away"));
  int waits = 0;
  const auto count = [&waits](absl::Duration) { return ++waits > 100; };
  EXPECT_THAT(LeaveOutUnreadable("math", verifier, count, set)->places, ElementsAre("in:1"));
  EXPECT_EQ(waits, 3);
  verifier.FailCalls(1, absl::InvalidArgumentError("task"));
  EXPECT_TRUE(absl::IsInvalidArgument(LeaveOutUnreadable("m", verifier, Never, set).status()));
  verifier.FailCalls(1000, absl::UnavailableError("away"));
  EXPECT_TRUE(absl::IsCancelled(LeaveOutUnreadable("m", verifier, count, set).status()));
  EXPECT_EQ(set.problems.size(), 1u) << "as it was";
}

// Is done with so many in time.
class SlowVerifier final : public verifier::VerifierClient {
 public:
  explicit SlowVerifier(size_t most) : most_(most) {}
  absl::StatusOr<std::vector<verifier::GradeResult>> Verify(
      const std::vector<verifier::GradeRequest>& requests, absl::Duration /*deadline*/) override {
    if (requests.size() > most_) return absl::DeadlineExceededError("slow");
    std::vector<verifier::GradeResult> results;
    for (const verifier::GradeRequest& request : requests) results.push_back(Read(request));
    return results;
  }
  void Cancel() override {}

 private:
  const size_t most_;
};

TEST(LeaveOutUnreadable, AsksASlowVerifierAboutFewerAtOnce) {
  SlowVerifier verifier(3);
  DataSet set = SetOf({"?", "2", "3", "4?", "5", "6", "7?"});
  const auto left_out = LeaveOutUnreadable("math", verifier, Never, set);
  ASSERT_TRUE(left_out.ok()) << left_out.status();
  EXPECT_THAT(left_out->places, ElementsAre("in:1", "in:4", "in:7"));
  EXPECT_EQ(set.problems.size(), 4u);
  // One that is done with nothing: asked about 7, 3 and 1, and then again.
  SlowVerifier frozen(0);
  std::vector<absl::Duration> waits;
  const auto stop = [&waits](absl::Duration wait) {
    return waits.push_back(wait), waits.size() == 4;
  };
  DataSet other = SetOf({"1", "2", "3", "4", "5", "6", "7"});
  EXPECT_TRUE(absl::IsCancelled(LeaveOutUnreadable("math", frozen, stop, other).status()));
  EXPECT_THAT(waits, ElementsAre(absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(1),
                                 absl::Seconds(1)));
}

}  // namespace
}  // namespace attnrl::scheduler
