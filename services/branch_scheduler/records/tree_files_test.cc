// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/records/tree_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/temporary_folder.h"

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TreeFiles, AreNamedByTheirBatch) {
  for (const bool compressed : {false, true}) {
    EXPECT_EQ(BatchOfTreeFile(TreeFileName(17, compressed)), 17u);
  }
  for (const char* name : {"batch-.jsonl", "batch-1", "batch-1.json", "batch--1.jsonl", "x.jsonl",
                           "batch-1.jsonl.zst.zst", ".unfinished-1-2-batch-1.jsonl"}) {
    EXPECT_EQ(BatchOfTreeFile(name), std::nullopt) << name;
  }
}

TEST(TreeFiles, AreRemovedByTheirNumbersAndNothingElseIs) {
  const TemporaryFolder folder;
  for (const char* name : {"batch-9.jsonl.zst", "batch-10.jsonl.zst", "batch-2.jsonl", "notes"}) {
    folder.Write(name, "");
  }
  EXPECT_THAT(TreeFiles(folder.path()),
              ElementsAre(folder / "batch-2.jsonl", folder / "batch-9.jsonl.zst",
                          folder / "batch-10.jsonl.zst"));
  ASSERT_TRUE(RemoveTreeFilesBefore(folder.path(), 10).ok());
  EXPECT_THAT(TreeFiles(folder.path()), ElementsAre(folder / "batch-10.jsonl.zst"));
  EXPECT_TRUE(RemoveTreeFilesBefore(folder / "nowhere", 10).ok());
  EXPECT_THAT(TreeFiles(folder / "nowhere"), IsEmpty());
}

}  // namespace
}  // namespace attnrl::scheduler
