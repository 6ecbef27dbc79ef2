// SPDX-License-Identifier: Apache-2.0
#include "common/storage/file_writer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>

#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::storage {
namespace {

int FilesIn(const std::string& folder) {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder),
                                        std::filesystem::directory_iterator()));
}

TEST(FileWriter, WhatCameInPiecesAppearsWholeByFinish) {
  const TemporaryFolder folder;
  folder.Write("file", "old");
  auto writer = FileWriter::Create(folder / "file");
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Append("ne").ok());
  ASSERT_TRUE(writer->Append("").ok());
  FileWriter moved = *std::move(writer);
  ASSERT_TRUE(moved.Append(std::string("w\0!", 3)).ok());
  EXPECT_EQ(*ReadFile(folder / "file"), "old");
  ASSERT_TRUE(moved.Finish().ok());
  EXPECT_EQ(*ReadFile(folder / "file"), std::string("new\0!", 5));
  EXPECT_EQ(FilesIn(folder.path()), 1);
}

TEST(FileWriter, NothingIsLeftOfWhatWasNotFinished) {
  const TemporaryFolder folder;
  {
    auto writer = FileWriter::Create(folder / "file");
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(writer->Append("half").ok());
    EXPECT_EQ(FilesIn(folder.path()), 1);
  }
  EXPECT_EQ(FilesIn(folder.path()), 0);
}

TEST(FileWriter, AnyFailureNamesTheFileAndLeavesTheOldOne) {
  for (const std::string failing : {"open", "write", "sync", "rename"}) {
    const TemporaryFolder folder;
    folder.Write("file", "old");
    const ScopedFault fault([&failing](std::string_view operation, const std::string&) {
      return operation == failing ? ENOSPC : 0;
    });
    absl::Status status;
    {
      auto writer = FileWriter::Create(folder / "file");
      status = writer.status();
      if (status.ok()) status = writer->Append("new");
      if (status.ok()) status = writer->Finish();
    }
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << failing << ": " << status;
    EXPECT_NE(std::string(status.message()).find(folder / "file"), std::string::npos) << status;
    EXPECT_EQ(*ReadFile(folder / "file"), "old") << failing;
    EXPECT_EQ(FilesIn(folder.path()), 1) << failing;
  }
}

TEST(ReadPieces, GivesAllBytesInOrder) {
  const TemporaryFolder folder;
  std::string bytes;
  for (int i = 0; i < 3'000'000; ++i) bytes.push_back(static_cast<char>(i * 7 % 251));
  folder.Write("file", bytes);
  std::string read;
  int pieces = 0;
  ASSERT_TRUE(ReadPieces(folder / "file", [&](std::string_view piece) {
                read += piece;
                ++pieces;
              }).ok());
  EXPECT_TRUE(read == bytes);
  EXPECT_GT(pieces, 1);
  EXPECT_TRUE(absl::IsNotFound(ReadPieces(folder / "none", [](std::string_view) {})));
}

}  // namespace
}  // namespace attnrl::storage
