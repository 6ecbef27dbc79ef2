// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/host_folder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>

#include "common/base/status.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/sample_version.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

class HostFolderTest : public ::testing::Test {
 protected:
  std::string FileOf(const VersionData& data) const {
    return folder_.path() + "/shared/" + data.version.digest + ".version";
  }
  static VersionData Sample(char byte) {
    VersionData data = SampleVersion();
    data.bytes = WeightBytes(std::string("0123456") + byte + "abcdef");
    Seal(&data);
    return data;
  }
  // As who has the right to fetch it.
  static absl::Status Fill(const HostFolder& folder, const VersionData& data) {
    ATTNRL_ASSIGN_OR_RETURN(VersionRoom room, folder.Begin(data.version, data.bytes.size()));
    data.bytes.view().copy(room.bytes.room(), room.bytes.size());
    return folder.Keep(data);
  }
  void Write(const VersionData& data) {
    const auto lock = shared_.TryLock(data.version);
    ASSERT_TRUE(lock.ok() && lock->has_value());
    ASSERT_TRUE(Fill(shared_, data).ok());
  }

  TemporaryFolder folder_;
  HostFolder shared_{folder_.path() + "/shared"};
};

TEST_F(HostFolderTest, GivesAnotherProcessWhatOneHasWritten) {
  const VersionData data = SampleVersion();
  EXPECT_TRUE(absl::IsNotFound(shared_.Open(data.version).status()));
  Write(data);
  const HostFolder other(folder_.path() + "/shared");
  const auto opened = other.Open({7, data.version.digest});
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->version, (Version{7, data.version.digest}));
  EXPECT_EQ((*opened)->bytes.view(), data.bytes.view());
  EXPECT_EQ((*opened)->chunk_digests, data.chunk_digests);
  EXPECT_EQ((*opened)->Bytes((*opened)->tensors[1]), "abcdef");
}

TEST_F(HostFolderTest, OneProcessHasTheRightToFetch) {
  const Version version = SampleVersion().version;
  {
    const auto lock = shared_.TryLock(version);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_TRUE(lock->has_value());
    EXPECT_FALSE(HostFolder(folder_.path() + "/shared").TryLock(version)->has_value());
    EXPECT_TRUE(shared_.TryLock(Sample('x').version)->has_value()) << "another version";
  }
  EXPECT_TRUE(shared_.TryLock(version)->has_value());
}

TEST_F(HostFolderTest, RemovesADamagedVersion) {
  const VersionData data = SampleVersion();
  Write(data);
  const std::string whole = folder_.Read("shared/" + data.version.digest + ".version");
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] ^= 1;
    folder_.Write("shared/" + data.version.digest + ".version", damaged);
    const auto opened = shared_.Open(data.version);
    if (!opened.ok()) {
      EXPECT_TRUE(absl::IsNotFound(opened.status()));
      EXPECT_FALSE(fs::exists(FileOf(data)));
    } else {  // what the manifest says beside
      EXPECT_EQ((*opened)->version, data.version);
      EXPECT_EQ(VersionDigest(**opened), data.version.digest) << at;
      EXPECT_EQ((*opened)->chunk_digests, data.chunk_digests) << at;
    }
  }
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    folder_.Write("shared/" + data.version.digest + ".version", whole.substr(0, cut));
    EXPECT_TRUE(absl::IsNotFound(shared_.Open(data.version).status())) << cut;
  }
}

TEST_F(HostFolderTest, KeepsTheTwoNewestForThoseThatComeAndAllForThoseThatHaveThem) {
  const VersionData first = Sample('x');
  Write(first);
  const auto opened = *shared_.Open(first.version);
  fs::last_write_time(FileOf(first), fs::file_time_type::clock::now() - std::chrono::hours(1));
  Write(Sample('y'));
  Write(Sample('z'));
  EXPECT_TRUE(absl::IsNotFound(shared_.Open(first.version).status()));
  EXPECT_TRUE(shared_.Open(Sample('y').version).ok());
  EXPECT_TRUE(shared_.Open(Sample('z').version).ok());
  EXPECT_EQ(opened->bytes.view(), first.bytes.view());
}

TEST_F(HostFolderTest, NeverRemovesWhatItHasJustWritten) {
  for (const char byte : {'x', 'y', 'z'}) {
    const VersionData data = Sample(byte);
    Write(data);
    EXPECT_TRUE(shared_.Open(data.version).ok());
    // As if the clock were set back before the next one.
    fs::last_write_time(FileOf(data), fs::file_time_type::clock::now() + std::chrono::hours(1));
  }
}

// A disk that has room for so many versions.
class Disk {
 public:
  Disk(std::string folder, int versions)
      : full_(
            [folder = std::move(folder), versions](std::string_view operation, const std::string&) {
              int there = 0;
              for (const auto& entry : fs::directory_iterator(folder)) {
                const std::string name = entry.path().filename().string();
                there += name.ends_with(".version") && !name.starts_with(".") ? 1 : 0;
              }
              return operation == "write" && there >= versions ? ENOSPC : 0;
            }) {}

 private:
  storage::ScopedFault full_;
};

TEST_F(HostFolderTest, GoesOnWithRoomForTwoVersionsAndForOne) {
  for (const int room : {2, 1}) {
    for (const char byte : {'w', 'x', 'y', 'z'}) {
      const VersionData data = Sample(byte);
      ASSERT_TRUE(shared_.TryLock(data.version)->has_value());
      const Disk disk(folder_.path() + "/shared", room);
      EXPECT_TRUE(Fill(shared_, data).ok()) << room << byte;
      EXPECT_TRUE(shared_.Open(data.version).ok()) << room << byte;
    }
    EXPECT_EQ(shared_.Open(Sample('y').version).ok(), room == 2);
  }
}

TEST_F(HostFolderTest, WithoutRoomForOneItLeavesNothing) {
  const VersionData data = SampleVersion();
  const auto lock = shared_.TryLock(data.version);
  const Disk disk(folder_.path() + "/shared", 0);
  EXPECT_TRUE(absl::IsResourceExhausted(shared_.Begin(data.version, 14).status()));
  EXPECT_FALSE(fs::exists(FileOf(data) + ".part"));
}

TEST_F(HostFolderTest, ARoomHasWhatAKilledProcessWrote) {
  const VersionData data = SampleVersion();
  const pid_t process = ::fork();
  if (process == 0) {
    const auto lock = shared_.TryLock(data.version);
    auto room = shared_.Begin(data.version, 14);
    if (!lock.ok() || !room.ok() || room->begun) ::_exit(1);
    data.Chunk(1).copy(room->bytes.room() + 5, 5);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(process, &status, 0), process);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_TRUE(absl::IsNotFound(shared_.Open(data.version).status())) << "not whole";
  const auto lock = shared_.TryLock(data.version);
  ASSERT_TRUE(lock.ok() && lock->has_value());
  auto room = shared_.Begin(data.version, 14);
  ASSERT_TRUE(room.ok()) << room.status();
  EXPECT_TRUE(room->begun);
  EXPECT_EQ(room->bytes.view().substr(5, 5), data.Chunk(1));
}

TEST_F(HostFolderTest, IsRightWhateverLengthAKilledProcessLeft) {
  for (const size_t length : {1u, 13u, 14u, 15u, 1000u}) {
    const VersionData data = Sample(static_cast<char>('a' + length % 26));
    folder_.Write("shared/" + data.version.digest + ".version.part", std::string(length, '?'));
    Write(data);
    const auto opened = shared_.Open(data.version);
    ASSERT_TRUE(opened.ok()) << length << " " << opened.status();
    EXPECT_EQ((*opened)->bytes.view(), data.bytes.view());
    EXPECT_FALSE(fs::exists(FileOf(data) + ".part"));
  }
}

TEST_F(HostFolderTest, RemovesWhatKilledProcessesLeftOfOtherVersionsAndNothingThatIsFetched) {
  const auto begin = [this](char byte) {
    const Version version = Sample(byte).version;
    auto lock = HostFolder(folder_.path() + "/shared").TryLock(version).value();
    EXPECT_TRUE(shared_.Begin(version, 14).ok());
    return lock;
  };
  Write(Sample('x'));
  (void)begin('y');
  const auto fetching = begin('b');
  (void)begin('a');
  Write(Sample('y'));
  EXPECT_FALSE(fs::exists(FileOf(Sample('a')) + ".part"));
  EXPECT_FALSE(fs::exists(FileOf(Sample('a')) + ".lock"));
  EXPECT_TRUE(fs::exists(FileOf(Sample('b')) + ".part"));
  EXPECT_TRUE(fs::exists(FileOf(Sample('b')) + ".lock"));
  EXPECT_TRUE(shared_.Open(Sample('x').version).ok()) << "none of these counts as a version";
}

TEST_F(HostFolderTest, WhoWaitsSeesThatTheOtherGoesOn) {
  const Version version = SampleVersion().version;
  const auto before = shared_.WentOn(version);
  const auto lock = shared_.TryLock(version);
  const auto locked = shared_.WentOn(version);
  EXPECT_NE(locked, before);
  EXPECT_FALSE(HostFolder(folder_.path() + "/shared").TryLock(version)->has_value());
  EXPECT_EQ(shared_.WentOn(version), locked);
  fs::last_write_time(FileOf(SampleVersion()) + ".lock", locked - std::chrono::hours(1));
  shared_.GoOn(version);
  EXPECT_NE(shared_.WentOn(version), locked - std::chrono::hours(1));
}

}  // namespace
}  // namespace attnrl::learner
