// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/journal.h"

#include <gtest/gtest.h>

#include <iterator>

#include "common/testing/temporary_folder.h"

namespace attnrl::learner {
namespace {

TEST(Journal, RemembersTheNewestDigestsAndTheFirst) {
  const TemporaryFolder folder;
  Journal journal;
  for (uint32_t number = 0; number < 5001; ++number) journal[number] = "d";
  ASSERT_TRUE(WriteJournal(folder / "published.json", journal).ok());
  const auto read = ReadJournal(folder / "published.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), 4097u);
  EXPECT_EQ(read->begin()->first, 0u);
  EXPECT_EQ(std::next(read->begin())->first, 5001u - 4096u);
  EXPECT_EQ(read->rbegin()->first, 5000u);
}

TEST(Journal, NoticesEveryCutAndEveryFlippedBit) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteJournal(folder / "published.json", {{3, "3a"}, {4, "4b"}}).ok());
  const std::string whole = folder.Read("published.json");
  for (size_t i = 0; i < whole.size(); ++i) {
    folder.Write("cut.json", whole.substr(0, i));
    EXPECT_TRUE(absl::IsDataLoss(ReadJournal(folder / "cut.json").status())) << i;
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    folder.Write("flipped.json", flipped);
    EXPECT_TRUE(absl::IsDataLoss(ReadJournal(folder / "flipped.json").status())) << flipped;
  }
}

}  // namespace
}  // namespace attnrl::learner
