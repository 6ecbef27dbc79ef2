// SPDX-License-Identifier: Apache-2.0
#include "common/storage/zstd_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/jsonl.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::storage {
namespace {

using ::testing::HasSubstr;

// Long enough for several blocks of a frame.
std::string Numbers(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) absl::StrAppend(&text, "{\"n\":", i * 7919 % 104729, "}\n");
  return text;
}

// The sum of "n" over all records.
absl::StatusOr<int64_t> Sum(const std::string& path) {
  int64_t sum = 0;
  const absl::Status status = ReadJsonLines(path, false, nullptr, [&](const JsonLine& line) {
    sum += line.value["n"].get<int64_t>();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return sum;
}

class CompressedText : public ::testing::Test {
 protected:
  const TemporaryFolder folder_;
  const std::string text_ = Numbers(100000);
};

TEST_F(CompressedText, IsReadAsThePlainText) {
  const std::string frame = Compress(text_);
  EXPECT_LT(frame.size(), text_.size() / 3);
  const auto plain = Sum(folder_.Write("a.jsonl", text_));
  EXPECT_GT(*plain, 0);
  EXPECT_EQ(*Sum(folder_.Write("a.jsonl.zst", frame)), *plain);
  EXPECT_EQ(*Sum(folder_.Write("twice.jsonl.zst", frame + frame)), 2 * *plain);
  EXPECT_EQ(*Sum(folder_.Write("empty.jsonl.zst", Compress(""))), 0);
}

TEST_F(CompressedText, IsRefusedWhereItIsDamaged) {
  const auto refusal = [this](const std::string& bytes) {
    const absl::Status status = Sum(folder_.Write("b.jsonl.zst", bytes)).status();
    EXPECT_TRUE(IsInputError(status)) << status;
    return std::string(status.message());
  };
  const std::string frame = Compress(text_);
  EXPECT_THAT(refusal(frame.substr(0, frame.size() / 2)),
              HasSubstr("b.jsonl.zst: is damaged: it ends within a frame; a whole file"));
  EXPECT_THAT(refusal(""), HasSubstr("b.jsonl.zst: is damaged: it ends within a frame"));
  std::string flipped = frame;
  flipped[frame.size() / 2] = static_cast<char>(flipped[frame.size() / 2] ^ 1);
  EXPECT_THAT(refusal(flipped), HasSubstr("b.jsonl.zst: is damaged: "));
  EXPECT_THAT(refusal(text_), HasSubstr("b.jsonl.zst: is damaged: "));
  EXPECT_THAT(std::string(Sum(folder_ / "none.jsonl.zst").status().message()),
              HasSubstr("none.jsonl.zst: can't be read: No such file or directory; "));
}

TEST_F(CompressedText, IsNamedWhereThePlainOneIsAskedForAndTheOtherWayRound) {
  folder_.Write("a.jsonl.zst", Compress(text_));
  folder_.Write("b.jsonl", text_);
  for (const auto& [asked, there] :
       {std::pair("a.jsonl", "a.jsonl.zst"), std::pair("b.jsonl.zst", "b.jsonl")}) {
    const absl::Status status = Sum(folder_ / asked).status();
    EXPECT_TRUE(IsInputError(status)) << status;
    EXPECT_EQ(status.message(),
              absl::StrCat(folder_ / asked, ": can't be read: No such file or directory; there is ",
                           folder_ / there));
  }
}

}  // namespace
}  // namespace attnrl::storage
