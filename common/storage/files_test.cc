// SPDX-License-Identifier: Apache-2.0
#include "common/storage/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::storage {
namespace {

using ::testing::HasSubstr;

TEST(WriteFileAtomically, WritesWhatReadFileReads) {
  const TemporaryFolder directory;
  const std::string bytes("a\0b\n\xff", 5);
  ASSERT_TRUE(WriteFileAtomically(directory / "file", bytes).ok());
  EXPECT_EQ(*ReadFile(directory / "file"), bytes);
  ASSERT_TRUE(WriteFileAtomically(directory / "file", "").ok());
  EXPECT_EQ(*ReadFile(directory / "file"), "");
  EXPECT_EQ(directory.Count(), 1u);
}

TEST(WriteFileAtomically, KeepsTheOldFileWhateverFails) {
  const TemporaryFolder directory;
  directory.Write("file", "old");
  for (const std::string failing : {"open", "write", "sync", "rename"}) {
    const ScopedFault fault([&](std::string_view operation, const std::string&) {
      return operation == failing ? ENOSPC : 0;
    });
    const absl::Status status = WriteFileAtomically(directory / "file", "new");
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << failing << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(directory / "file"));
    EXPECT_EQ(directory.Read("file"), "old") << failing;
    EXPECT_EQ(directory.Count(), 1u) << failing;
  }
}

TEST(WriteFileAtomically, SyncsTheFileBeforeTheRenameAndTheDirectoryAfterIt) {
  const TemporaryFolder directory;
  std::string order;
  {
    const ScopedFault fault([&](std::string_view operation, const std::string& path) {
      order += std::string(operation) + (path == directory.path() ? ":directory " : " ");
      return 0;
    });
    ASSERT_TRUE(WriteFileAtomically(directory / "file", "x").ok());
  }
  EXPECT_EQ(order, "open write sync rename sync:directory ");
}

TEST(WriteFileAtomically, ALinkStaysOneAndWhatIsNoPlainFileStaysWhatItIs) {
  const TemporaryFolder folder;
  folder.Write("target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  ASSERT_EQ(WriteFileAtomically(folder / "link", "new"), absl::OkStatus());
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(folder.Read("target"), "new");
  ASSERT_EQ(WriteFileAtomically("/dev/null", "gone"), absl::OkStatus());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_TRUE(absl::IsResourceExhausted(WriteFileAtomically("/dev/full", "no room")));
}

TEST(WriteFileAtomically, TheNameOfADescriptorIsWrittenThroughIt) {
  const TemporaryFolder folder;
  const int fd = ::open((folder / "log").c_str(), O_CREAT | O_WRONLY, 0644);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(WriteAll(fd, "log", "before\n"), absl::OkStatus());
  const std::string name = "/dev/fd/" + std::to_string(fd);
  EXPECT_EQ(NamedDescriptor(name), fd);
  ASSERT_EQ(WriteFileAtomically(name, "through\n"), absl::OkStatus());
  ASSERT_EQ(WriteAll(fd, "log", "after\n"), absl::OkStatus());
  ::close(fd);
  EXPECT_EQ(folder.Read("log"), "before\nthrough\nafter\n");
  EXPECT_EQ(NamedDescriptor("/dev/stdout"), 1);
  EXPECT_EQ(NamedDescriptor(folder / "log"), std::nullopt);
  EXPECT_EQ(NamedDescriptor("/nowhere/1"), std::nullopt);
}

TEST(WriteFileAtomically, NamesAFolderThatIsMissing) {
  const absl::Status status = WriteFileAtomically("/nowhere/at/all", "x");
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/at/all"));
}

TEST(ReadFile, SaysWhatIsWrong) {
  const TemporaryFolder directory;
  EXPECT_TRUE(absl::IsNotFound(ReadFile(directory / "nothing").status()));
  EXPECT_THAT(std::string(ReadFile(directory.path()).status().message()), HasSubstr("directory"));
}

TEST(ReadFile, ReadsFilesWithoutASize) { EXPECT_FALSE(ReadFile("/proc/self/status")->empty()); }

TEST(EnsureDirectory, MakesParentsAndIsIdempotent) {
  const TemporaryFolder directory;
  ASSERT_TRUE(EnsureDirectory(directory / "a/b/c/").ok());
  ASSERT_TRUE(EnsureDirectory(directory / "a/b/c").ok());
  EXPECT_TRUE(std::filesystem::is_directory(directory / "a/b/c"));
}

TEST(EnsureDirectory, RefusesAFileInTheWay) {
  const TemporaryFolder directory;
  directory.Write("a", "");
  EXPECT_FALSE(EnsureDirectory(directory / "a").ok());
  EXPECT_FALSE(EnsureDirectory(directory / "a/b").ok());
}

TEST(EnsureDirectory, TellsAFullDisk) {
  const TemporaryFolder directory;
  const ScopedFault fault([](std::string_view, const std::string&) { return ENOSPC; });
  EXPECT_TRUE(absl::IsResourceExhausted(EnsureDirectory(directory / "a")));
}

TEST(RemoveTree, RemovesAllAndFollowsNoLinks) {
  const TemporaryFolder directory;
  ASSERT_TRUE(EnsureDirectory(directory / "a/b").ok());
  directory.Write("kept", "x");
  std::filesystem::create_symlink(directory / "kept", directory / "a/link");
  ASSERT_TRUE(RemoveTree(directory / "a").ok());
  ASSERT_TRUE(RemoveTree(directory / "a").ok());
  EXPECT_EQ(directory.Read("kept"), "x");
  EXPECT_EQ(directory.Count(), 1u);
}

TEST(RemoveUnfinished, LeavesFinishedFiles) {
  const TemporaryFolder directory;
  directory.Write(".unfinished-1-0-file", "half");
  directory.Write("file", "whole");
  ASSERT_TRUE(RemoveUnfinished(directory.path()).ok());
  EXPECT_EQ(directory.Read("file"), "whole");
  EXPECT_EQ(directory.Count(), 1u);
}

TEST(FreeBytes, IsPositiveHereAndAnErrorNowhere) {
  EXPECT_GT(*FreeBytes("/"), 0);
  EXPECT_FALSE(FreeBytes("/nowhere/at/all").ok());
}

TEST(FileLock, IsHeldByOneProcess) {
  const TemporaryFolder directory;
  absl::StatusOr<FileLock> lock = FileLock::Acquire(directory.path());
  ASSERT_TRUE(lock.ok()) << lock.status();
  const absl::Status second = FileLock::Acquire(directory.path()).status();
  EXPECT_TRUE(IsInputError(second));
  EXPECT_EQ(second.message(), directory.path() + ": in use by process " +
                                  std::to_string(::getpid()) + "; one process at a time");
}

TEST(FileLock, EndsWithItsScope) {
  const TemporaryFolder directory;
  {
    FileLock first = *FileLock::Acquire(directory.path());
    const FileLock moved = std::move(first);
    EXPECT_FALSE(FileLock::Acquire(directory.path()).ok());
  }
  EXPECT_TRUE(FileLock::Acquire(directory.path()).ok());
}

TEST(FileLock, IsOfTheFileThatHasTheNameNow) {
  TemporaryFolder directory;
  const std::string path = directory / "a.lock";
  absl::StatusOr<FileLock> first = FileLock::AcquireFile(path, "a");
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(RemoveTree(path).ok());
  absl::StatusOr<FileLock> second = FileLock::AcquireFile(path, "a");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE(FileLock::AcquireFile(path, "a").ok());
}

TEST(FileLock, IsSharedOrHeldByOne) {
  TemporaryFolder directory;
  const std::string path = directory / "a.lock";
  {
    const absl::StatusOr<FileLock> first = FileLock::Share(path, "a");
    const absl::StatusOr<FileLock> second = FileLock::Share(path, "a");
    EXPECT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
    EXPECT_FALSE(FileLock::AcquireFile(path, "a").ok());
  }
  const absl::StatusOr<FileLock> one = FileLock::AcquireFile(path, "a");
  EXPECT_TRUE(one.ok()) << one.status();
  EXPECT_FALSE(FileLock::Share(path, "a").ok());
}

TEST(FileLock, EndsWithAKilledProcess) {
  const TemporaryFolder directory;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const absl::StatusOr<FileLock> lock = FileLock::Acquire(directory.path());
    if (::write(ready[1], lock.ok() ? "y" : "n", 1) != 1) ::_exit(1);
    ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_THAT(std::string(FileLock::Acquire(directory.path()).status().message()),
              HasSubstr("process " + std::to_string(child)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(FileLock::Acquire(directory.path()).ok());
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace attnrl::storage
