// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/convert/convert.h"

#include <gtest/gtest.h>

#include "services/verifier/convert/convert.h"

namespace attnrl::verifier {
namespace {

const std::vector<GradeRequest> kRequests = {{"a", "\\boxed{1}", {"1", "2"}}, {"b", "", {"3"}}};

v1::VerifyReply GoodReply() {
  v1::VerifyReply reply;
  *reply.add_results() = ToProto(GradeResult{"a", GradeStatus::kGraded, true, "1", 0, 12});
  *reply.add_results() = ToProto(GradeResult{"b", GradeStatus::kNoAnswer, false, "", -1, 3});
  return reply;
}

TEST(Convert, RequestsSurviveTheTrip) {
  v1::VerifyRequest message;
  for (const GradeRequest& request : kRequests) *message.add_responses() = ToProto(request);
  std::vector<GradeRequest> back = FromProto(message);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].id, "a");
  EXPECT_EQ(back[0].response, "\\boxed{1}");
  EXPECT_EQ(back[0].answers, kRequests[0].answers);
}

TEST(Convert, ResultsOfEveryStatusSurviveTheTrip) {
  for (GradeStatus status : {GradeStatus::kGraded, GradeStatus::kNoAnswer, GradeStatus::kUnparsable,
                             GradeStatus::kTimeout, GradeStatus::kLimit, GradeStatus::kCrash}) {
    v1::VerifyReply reply;
    *reply.add_results() = ToProto(GradeResult{"a", status, false, "x", -1, 7});
    auto results = FromProto(reply, std::span(kRequests).first(1));
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ((*results)[0].status, status);
    EXPECT_EQ((*results)[0].extracted, "x");
    EXPECT_EQ((*results)[0].micros, 7u);
  }
}

TEST(Convert, AReplyThatDoesNotFitIsDataLoss) {
  EXPECT_TRUE(FromProto(GoodReply(), kRequests).ok());
  auto broken = [](auto change) {
    v1::VerifyReply reply = GoodReply();
    change(reply);
    return absl::IsDataLoss(FromProto(reply, kRequests).status());
  };
  EXPECT_TRUE(broken([](auto& reply) { reply.mutable_results()->RemoveLast(); }));
  EXPECT_TRUE(broken([](auto& reply) { reply.add_results(); }));
  EXPECT_TRUE(broken([](auto& reply) { reply.mutable_results(0)->set_id("b"); }));
  EXPECT_TRUE(broken([](auto& reply) { reply.mutable_results(0)->set_matched(2); }));
  EXPECT_TRUE(broken([](auto& reply) { reply.mutable_results(0)->set_matched(-1); }));
  EXPECT_TRUE(broken([](auto& reply) { reply.mutable_results(1)->set_correct(true); }));
  EXPECT_TRUE(broken([](auto& reply) {
    reply.mutable_results(1)->set_status(v1::GradeResult::STATUS_UNSPECIFIED);
  }));
  // A grader that failed can't have found anything right.
  EXPECT_TRUE(broken(
      [](auto& reply) { reply.mutable_results(0)->set_status(v1::GradeResult::STATUS_CRASH); }));
}

}  // namespace
}  // namespace attnrl::verifier
