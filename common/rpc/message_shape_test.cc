// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/message_shape.h"

#include <grpcpp/impl/codegen/proto_utils.h>
#include <gtest/gtest.h>

#include <string>

#include "proto/attnrl/v1/verifier.pb.h"

namespace attnrl::rpc {
namespace {

absl::Status Check(const std::string& bytes, size_t parts) {
  // In two pieces, as a transport may bring it.
  const grpc::Slice slices[] = {grpc::Slice(bytes.substr(0, bytes.size() / 2)),
                                grpc::Slice(bytes.substr(bytes.size() / 2))};
  return CheckShape(grpc::ByteBuffer(slices, 2), *v1::VerifyRequest::descriptor(), parts);
}

v1::VerifyRequest RequestOf(int responses, int answers) {
  v1::VerifyRequest request;
  request.set_task("math");
  for (int i = 0; i < responses; ++i) {
    v1::GradeRequest* response = request.add_responses();
    response->set_id(std::string(300, 'x'));
    for (int a = 0; a < answers; ++a) response->add_answers("");
  }
  return request;
}

TEST(MessageShape, CountsTextsAndMessagesAtEveryDepth) {
  // The task, two responses, an id each and three answers each.
  const std::string bytes = RequestOf(2, 3).SerializeAsString();
  EXPECT_TRUE(Check(bytes, 11).ok());
  EXPECT_EQ(Check(bytes, 10), absl::ResourceExhaustedError(
                                  "VerifyRequest: more than 10 texts and messages in one message"));
}

TEST(MessageShape, TakesAnEmptyMessageForOne) { EXPECT_TRUE(Check("", 0).ok()); }

TEST(MessageShape, CountsFieldsThatItDoesNotKnow) {
  v1::VerifyRequest request;
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(999)->assign("new");
  EXPECT_TRUE(Check(request.SerializeAsString(), 1).ok());
  EXPECT_FALSE(Check(request.SerializeAsString(), 0).ok());
}

TEST(MessageShape, CountsNumbersThatItDoesNotKnowAndNoOthers) {
  const std::string known("\x18\x01", 2), unknown("\x78\x01", 2);  // check, and the field 15
  EXPECT_TRUE(Check(known + known, 0).ok());
  EXPECT_TRUE(Check(unknown + unknown, 2).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Check(unknown + unknown, 1)));
}

TEST(MessageShape, RefusesGroups) { EXPECT_TRUE(absl::IsInvalidArgument(Check("\x7b\x7c", 100))); }

TEST(MessageShape, WhatIsBrokenBehindTheLastAllowedPartIsNoOverload) {
  const std::string one = "\x0a\x01x";  // one text
  EXPECT_TRUE(Check(one, 1).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Check(one + "\x08", 1)));  // a number without its value
  EXPECT_TRUE(absl::IsResourceExhausted(Check(one + one, 1)));
}

TEST(MessageShape, RefusesWhatIsCutShortOrNoMessage) {
  const std::string bytes = RequestOf(2, 3).SerializeAsString();
  EXPECT_TRUE(absl::IsInvalidArgument(Check(bytes.substr(0, bytes.size() - 3), 100)));
  EXPECT_TRUE(absl::IsInvalidArgument(Check("\xff\xff\xff\xff\xff\xff\xff", 100)));
}

}  // namespace
}  // namespace attnrl::rpc
