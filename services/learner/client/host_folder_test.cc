// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/host_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

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
  void Write(const VersionData& data) {
    ASSERT_TRUE(shared_.TryLock(data.version)->has_value());
    ASSERT_TRUE(shared_.Keep(data).ok());
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
    const bool same_bytes = at > data.bytes.size() && at < whole.size() - 8;
    folder_.Write("shared/" + data.version.digest + ".version", damaged);
    const auto opened = shared_.Open(data.version);
    if (!opened.ok()) {
      EXPECT_TRUE(absl::IsNotFound(opened.status()));
      EXPECT_FALSE(fs::exists(FileOf(data)));
    } else {
      EXPECT_TRUE(same_bytes) << at;  // a name or a shape, which whoever makes a model checks
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

}  // namespace
}  // namespace attnrl::learner
