// SPDX-License-Identifier: Apache-2.0
#include "common/config/records_folder.h"

#include <gtest/gtest.h>

#include "common/testing/temporary_folder.h"

namespace attnrl::config {
namespace {

TEST(RecordsFolderTest, IsTheRunDirectoryUnlessItsConfigurationSaysOtherwise) {
  const TemporaryFolder folder;
  EXPECT_EQ(RecordsFolder(folder.path()), folder.path())
      << "records alone, without a configuration";
  folder.Write("config.yaml", "run: {steps: 3}\n");
  EXPECT_EQ(RecordsFolder(folder.path()), folder.path());
  folder.Write("config.yaml", "observe: {records: /elsewhere/a}\n");
  EXPECT_EQ(RecordsFolder(folder.path()), "/elsewhere/a");
  folder.Write("config.yaml", "of: another build\n");
  EXPECT_EQ(RecordsFolder(folder.path()), folder.path());
}

}  // namespace
}  // namespace attnrl::config
