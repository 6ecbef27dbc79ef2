// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/philox.h"

namespace attnrl::verifier {
namespace {

TEST(Frames, RequestsAndResultsSurviveTheTrip) {
  GradeRequest request{"stays", std::string("a\0b\xff", 4), {"", "1/2"}};
  std::optional<GradeRequest> decoded = DecodeRequest(EncodeRequest(request));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->id, "");
  EXPECT_EQ(decoded->response, request.response);
  EXPECT_EQ(decoded->answers, request.answers);
  EXPECT_EQ(decoded->grader, "");
  EXPECT_FALSE(decoded->anywhere);
  EXPECT_FALSE(decoded->explain);
  for (const bool anywhere : {false, true}) {
    request.grader = "exact_match";
    request.anywhere = anywhere;
    request.explain = !anywhere;
    request.check = anywhere;
    decoded = DecodeRequest(EncodeRequest(request));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->grader, "exact_match");
    EXPECT_EQ(decoded->anywhere, anywhere);
    EXPECT_EQ(decoded->explain, !anywhere);
    EXPECT_EQ(decoded->check, anywhere);
  }

  GradeResult result{"stays", GradeStatus::kLimit, true, "x", 3, uint64_t{1} << 40, "why"};
  std::optional<GradeResult> back = DecodeResult(EncodeResult(result));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->status, GradeStatus::kLimit);
  EXPECT_TRUE(back->correct);
  EXPECT_EQ(back->extracted, "x");
  EXPECT_EQ(back->matched, 3);
  EXPECT_EQ(back->explanation, "why");
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

// The length alone, as a frame's first four bytes.
std::string Length(size_t size) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>((size >> (8 * i)) & 0xff));
  return bytes;
}

TEST(Frames, AreALittleEndianLengthAndTheirBody) {
  EXPECT_EQ(Frame("ab"), std::string("\x02\0\0\0ab", 6));
  EXPECT_EQ(Frame(std::string(0x10203, 'x')).substr(0, 5), std::string("\x03\x02\x01\0x", 5));
  EXPECT_EQ(Frame(""), std::string(4, '\0'));
}

TEST(Frames, ReaderTakesTheLongestLengthAndNoLongerOne) {
  FrameReader longest;
  longest.Append(Length(kMaxFrameBytes) + "the beginning");
  EXPECT_FALSE(longest.Next());
  EXPECT_FALSE(longest.broken());  // the rest may come
  FrameReader longer;
  longer.Append(Length(kMaxFrameBytes + 1));
  EXPECT_FALSE(longer.Next());
  EXPECT_TRUE(longer.broken());
}

TEST(Frames, ReaderThatIsBrokenStaysSo) {
  FrameReader reader;
  reader.Append(Frame("good") + Length(kMaxFrameBytes + 1) + Frame("never read"));
  EXPECT_EQ(reader.Next(), "good");
  EXPECT_FALSE(reader.Next());
  reader.Append(Frame("nor this"));
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.broken());
}

TEST(Frames, ReaderWaitsForTheRestAtEveryCut) {
  const std::string bytes = Frame("one") + Frame("") + Frame("three");
  const std::vector<size_t> ends = {7, 11, 20};  // of the frames
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    FrameReader reader;
    reader.Append(std::string_view(bytes).substr(0, cut));
    size_t whole = 0;
    while (reader.Next()) ++whole;
    EXPECT_EQ(whole, static_cast<size_t>(std::count_if(ends.begin(), ends.end(),
                                                       [&](size_t end) { return end <= cut; })))
        << cut;
    EXPECT_FALSE(reader.broken());
    reader.Append(std::string_view(bytes).substr(cut));
    while (reader.Next()) ++whole;
    EXPECT_EQ(whole, 3u) << cut;
  }
}

// Whatever a sandboxed process that was taken over may write: it is either refused or means exactly
// what its bytes say.
TEST(Frames, BytesThatNoEncoderWroteAreRefused) {
  const std::string request = EncodeRequest({"", "a \\boxed{1}", {"1", "", "one half"}});
  const std::string result = EncodeResult({"", GradeStatus::kGraded, true, "1", 2, 77});
  int refused = 0;
  for (uint32_t round = 0; round < 4000; ++round) {
    RandomStream random({.seed = 2, .position = round});
    for (std::string bytes : {request, result}) {
      for (uint64_t changes = 1 + random.Below(3); changes > 0; --changes) {
        bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
      }
      if (random.Below(4) == 0) bytes.resize(random.Below(bytes.size() + 8));
      const std::optional<GradeRequest> as_request = DecodeRequest(bytes);
      const std::optional<GradeResult> as_result = DecodeResult(bytes);
      if (as_request) {
        EXPECT_EQ(EncodeRequest(*as_request), bytes);
      }
      if (as_result) {
        EXPECT_EQ(EncodeResult(*as_result), bytes);
      }
      refused += as_request || as_result ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 2000);
}

TEST(Frames, AHugeCountOfAnswersIsRefusedWithoutMemoryForThem) {
  // The name of the grader, what is asked for, the response.
  const std::string before = Length(0) + std::string(1, '\0') + Length(0);
  EXPECT_FALSE(DecodeRequest(before + Length(0xffffffff)));
  EXPECT_FALSE(DecodeRequest(before + Length(2) + Length(0)));
  EXPECT_TRUE(DecodeRequest(before + Length(0)));
}

}  // namespace
}  // namespace attnrl::verifier
