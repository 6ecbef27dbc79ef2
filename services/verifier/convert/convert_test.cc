// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/convert/convert.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

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

TEST(Convert, WhatAVerifierDoesNotKnowHowToReadCountsAsReadable) {
  GradeRequest request = {"a", "", {"1"}};
  request.check = true;
  v1::VerifyReply reply;
  *reply.add_results() = ToProto(GradeResult{"a", GradeStatus::kUnparsable, false, "", -1, 7});
  for (const bool checked : {false, true}) {
    reply.set_checked(checked);
    const auto results = FromProto(reply, std::span(&request, 1));
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ((*results)[0].status, checked ? GradeStatus::kUnparsable : GradeStatus::kGraded);
    EXPECT_EQ((*results)[0].id, "a");
  }
}

TEST(Convert, KeepsBytesThatMayBeAnything) {
  const GradeRequest request = {std::string("i\0d", 3), "\xc3\xa9 \\boxed{1}\n", {"", "1\t"}};
  v1::VerifyRequest message;
  *message.add_responses() = ToProto(request);
  v1::VerifyRequest sent;
  ASSERT_TRUE(sent.ParseFromString(message.SerializeAsString()));
  const std::vector<GradeRequest> back = FromProto(sent);
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].id, request.id);
  EXPECT_EQ(back[0].response, request.response);
  EXPECT_EQ(back[0].answers, request.answers);
}

TEST(Convert, SaysWhichResultDoesNotFit) {
  v1::VerifyReply reply = GoodReply();
  reply.mutable_results(1)->set_id("a");
  EXPECT_EQ(FromProto(reply, kRequests).status().message(),
            "result 1 of the verifier does not fit its request");
  reply.mutable_results()->RemoveLast();
  EXPECT_EQ(FromProto(reply, kRequests).status().message(),
            "the verifier sent 1 results for 2 responses");
  EXPECT_TRUE(FromProto(v1::VerifyReply(), {})->empty());
}

TEST(Convert, TakesAMatchOfEveryAnswerThatThereIsAndNoOther) {
  for (const int matched : {-2, -1, 0, 1, 2}) {
    v1::VerifyReply reply = GoodReply();
    reply.mutable_results(0)->set_matched(matched);
    const auto results = FromProto(reply, kRequests);
    EXPECT_EQ(results.ok(), matched == 0 || matched == 1) << matched;
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
