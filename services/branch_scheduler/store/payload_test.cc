// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/payload.h"

#include <gtest/gtest.h>

namespace attnrl::scheduler {
namespace {

ItemResult Result() {
  ItemResult result;
  result.version = Version{3, "abc"};
  result.span = Span{1.25, 2.5};
  result.prefill_tokens = 7;
  result.reused_tokens = 9;
  for (uint32_t node : {4u, 5u}) {
    SampleResult sample;
    sample.node = node;
    sample.token_ids = {1, -2, 300000};
    sample.logprobs = {-0.1f, -1e-30f, 0.0f};
    sample.entropy = {0.5f, 1.5f, 2.5f};
    sample.finish = node == 4 ? FinishReason::kStop : FinishReason::kLength;
    result.samples.push_back(sample);
  }
  return result;
}

TEST(Payload, ComesBackBitForBit) {
  auto back = DecodePayload(EncodePayload(Result()));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, Result());
}

TEST(Payload, EveryTruncationIsNoticed) {
  const std::string bytes = EncodePayload(Result());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodePayload(std::string_view(bytes).substr(0, size)).status().code(),
              absl::StatusCode::kDataLoss)
        << size;
  }
  EXPECT_FALSE(DecodePayload(bytes + "x").ok());
}

TEST(Payload, ACountThatLiesIsNoticedBeforeAnythingIsAllocated) {
  std::string bytes = EncodePayload(Result());
  bytes[5] = bytes[6] = bytes[7] = bytes[8] = '\xff';  // length of the digest
  EXPECT_FALSE(DecodePayload(bytes).ok());
}

TEST(Payload, GradesComeBackAsTheyWere) {
  std::vector<Grade> grades(2);
  grades[0].status = verifier::GradeStatus::kGraded;
  grades[0].correct = true;
  grades[0].matched = 1;
  grades[0].extracted = std::string("4\0002\xff", 4);
  grades[1].status = verifier::GradeStatus::kTimeout;
  const std::string bytes = EncodeGrades(grades);
  EXPECT_EQ(*DecodeGrades(bytes), grades);
  EXPECT_FALSE(DecodeGrades(std::string_view(bytes).substr(0, bytes.size() - 1)).ok());
}

}  // namespace
}  // namespace attnrl::scheduler
