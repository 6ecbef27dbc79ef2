// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/frames.h"

#include <gtest/gtest.h>

#include <string>

namespace attnrl::verifier {
namespace {

TEST(Frames, RequestsAndResultsSurviveTheTrip) {
  GradeRequest request{"stays", std::string("a\0b\xff", 4), {"", "1/2"}};
  std::optional<GradeRequest> decoded = DecodeRequest(EncodeRequest(request));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->id, "");
  EXPECT_EQ(decoded->response, request.response);
  EXPECT_EQ(decoded->answers, request.answers);

  GradeResult result{"stays", GradeStatus::kLimit, true, "x", 3, uint64_t{1} << 40};
  std::optional<GradeResult> back = DecodeResult(EncodeResult(result));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->status, GradeStatus::kLimit);
  EXPECT_TRUE(back->correct);
  EXPECT_EQ(back->extracted, "x");
  EXPECT_EQ(back->matched, 3);
  EXPECT_EQ(back->micros, uint64_t{1} << 40);
  result.matched = -1;
  EXPECT_EQ(DecodeResult(EncodeResult(result))->matched, -1);
}

TEST(Frames, ShortLongAndUnknownBodiesAreRefused) {
  std::string request = EncodeRequest({"", "abc", {"1"}});
  std::string result = EncodeResult({"", GradeStatus::kGraded, false, "abc", -1, 5});
  for (size_t i = 0; i < request.size(); ++i) EXPECT_FALSE(DecodeRequest(request.substr(0, i)));
  for (size_t i = 0; i < result.size(); ++i) EXPECT_FALSE(DecodeResult(result.substr(0, i)));
  EXPECT_FALSE(DecodeRequest(request + "x"));
  EXPECT_FALSE(DecodeResult(result + "x"));
  result[0] = 6;
  EXPECT_FALSE(DecodeResult(result));
  request[3] = '\xff';  // a length far over what is there
  EXPECT_FALSE(DecodeRequest(request));
}

TEST(Frames, ReaderTakesPiecesOfAnySize) {
  std::string bytes = Frame("one") + Frame("") + Frame(std::string(200000, 'x')) + Frame("four");
  for (const size_t step : {1u, 3u, 70000u}) {
    FrameReader reader;
    std::string sizes;
    for (size_t i = 0; i < bytes.size(); i += step) {
      reader.Append(std::string_view(bytes).substr(i, step));
      while (auto body = reader.Next()) sizes += std::to_string(body->size()) + " ";
    }
    EXPECT_EQ(sizes, "3 0 200000 4 ");
  }
}

TEST(Frames, ReaderRefusesAnEndlessFrame) {
  FrameReader reader;
  reader.Append("\xff\xff\xff\xff rest");
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.broken());
}

}  // namespace
}  // namespace attnrl::verifier
