// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_receiver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/storage/digest.h"
#include "services/learner/testing/sample_version.h"
#include "services/learner/versions/difference.h"

namespace attnrl::learner {
namespace {

constexpr uint64_t kLimit = 1 << 20;

VersionData ManifestOf(VersionData data) {
  data.bytes = {};
  for (TensorEntry& tensor : data.tensors) tensor.offset = 0;
  return data;
}

VersionData With(VersionData data, size_t at, char byte) {
  std::string bytes(data.bytes.view());
  bytes[at] = byte;
  data.bytes = WeightBytes(bytes);
  Seal(&data);
  return data;
}

absl::Status Fill(ChunkReceiver& source, size_t chunk, std::string_view bytes) {
  bytes.copy(source.Room(chunk).data(), source.Room(chunk).size());
  return source.Filled(chunk, storage::Crc32c(bytes));
}

// Of SampleVersion(), which has three chunks.
class VersionReceiverTest : public ::testing::Test {
 protected:
  absl::Status Begin(VersionReceiver& receiver) {
    return receiver.Manifest(ManifestOf(data_), data_.bytes.size());
  }

  const VersionData data_ = SampleVersion();
  VersionReceiver receiver_{data_.version, kLimit};
};

TEST_F(VersionReceiverTest, PutsChunksOfAnyOrderTogether) {
  ASSERT_TRUE(Begin(receiver_).ok());
  ChunkReceiver source = receiver_.FromSource(nullptr);
  for (const size_t chunk : {2, 0, 1}) {
    EXPECT_FALSE(receiver_.complete());
    ASSERT_TRUE(Fill(source, chunk, data_.Chunk(chunk)).ok());
    ASSERT_TRUE(source.Settle().ok());
  }
  ASSERT_TRUE(receiver_.complete());
  const auto taken = receiver_.Take();
  EXPECT_EQ(taken->bytes.view(), data_.bytes.view());
  EXPECT_EQ(taken->Bytes(taken->tensors[1]), "abcdef");
}

TEST_F(VersionReceiverTest, KnowsWhatIsMissingAfterAStreamBroke) {
  ASSERT_TRUE(Begin(receiver_).ok());
  ChunkReceiver source = receiver_.FromSource(nullptr);
  ASSERT_TRUE(Fill(source, 1, data_.Chunk(1)).ok());
  ASSERT_TRUE(source.Settle().ok());
  ASSERT_TRUE(Begin(receiver_).ok()) << "another stream's manifest";
  EXPECT_EQ(receiver_.Missing(), (std::vector<size_t>{0, 2}));
}

TEST_F(VersionReceiverTest, RefusesAChunkWithAWrongChecksumAndKeepsWhatItHas) {
  ASSERT_TRUE(Begin(receiver_).ok());
  ChunkReceiver source = receiver_.FromSource(nullptr);
  ASSERT_TRUE(Fill(source, 0, data_.Chunk(0)).ok());
  EXPECT_TRUE(absl::IsDataLoss(source.Filled(1, storage::Crc32c("567ab") + 1)));
  ASSERT_TRUE(source.Settle().ok());
  EXPECT_EQ(receiver_.Missing(), (std::vector<size_t>{1, 2}));
}

TEST_F(VersionReceiverTest, RefusesOtherBytesThanThoseOfTheNameHoweverSoundTheirChecksum) {
  ASSERT_TRUE(Begin(receiver_).ok());
  ChunkReceiver source = receiver_.FromSource(nullptr);
  ASSERT_TRUE(Fill(source, 0, "0123x").ok());
  EXPECT_TRUE(absl::IsDataLoss(source.Settle()));
  EXPECT_EQ(receiver_.Missing(), (std::vector<size_t>{0, 1, 2}));
  ASSERT_TRUE(Fill(source, 0, data_.Chunk(0)).ok()) << "from another one";
  ASSERT_TRUE(source.Settle().ok());
  EXPECT_EQ(receiver_.ready(), 1u);
}

TEST_F(VersionReceiverTest, TakesOfARoomThatAnotherHasBegunWhatHasItsName) {
  // The second chunk is half written, the third one damaged.
  WeightBytes begun("01234567??cdeF");
  const auto room = [&](uint64_t total) {
    EXPECT_EQ(total, 14u);
    return absl::StatusOr<VersionRoom>({.bytes = begun, .begun = true});
  };
  VersionData base = data_;  // has the second one alone
  base.bytes = WeightBytes("?????567ab????");
  VersionReceiver receiver(data_.version, kLimit, nullptr, nullptr, room);
  ASSERT_TRUE(Begin(receiver).ok());
  EXPECT_EQ(receiver.Missing(), (std::vector<size_t>{1, 2}));
  VersionReceiver with_base(data_.version, kLimit, &base, nullptr, room);
  ASSERT_TRUE(Begin(with_base).ok());
  EXPECT_EQ(with_base.Missing(), (std::vector<size_t>{2}));
}

TEST_F(VersionReceiverTest, TakesWhatTheVersionBeforeHasWhereverItLies) {
  VersionData base = With(data_, 7, 'x');
  VersionReceiver receiver(data_.version, kLimit, &base);
  ASSERT_TRUE(Begin(receiver).ok());
  EXPECT_EQ(receiver.Missing(), (std::vector<size_t>{1}));
  VersionData moved;
  moved.bytes = WeightBytes("567ab01234");
  moved.chunk_bytes = 5;
  Seal(&moved);
  VersionReceiver other(data_.version, kLimit, &moved);
  ASSERT_TRUE(Begin(other).ok());
  EXPECT_EQ(other.Missing(), (std::vector<size_t>{2}));
}

TEST_F(VersionReceiverTest, FetchesWhatHasChangedInTheMemoryOfTheVersionBefore) {
  VersionData base = data_;
  base.bytes = WeightBytes("0123y567abcdef");
  VersionReceiver receiver(data_.version, kLimit, &base);
  ASSERT_TRUE(Begin(receiver).ok());
  EXPECT_EQ(receiver.Missing(), (std::vector<size_t>{0}));
}

TEST_F(VersionReceiverTest, TakesDifferencesToTheVersionThatItKnows) {
  const VersionData base = With(data_, 3, 'x');
  VersionReceiver receiver(data_.version, kLimit, &base);
  ASSERT_TRUE(Begin(receiver).ok());
  ChunkReceiver source = receiver.FromSource(&base);
  const std::string_view bytes = data_.Chunk(0);
  const std::string difference = Difference(base.Chunk(0), bytes);
  const uint32_t checksum = storage::Crc32c(bytes);
  EXPECT_TRUE(absl::IsDataLoss(source.Difference(0, 0, difference, checksum + 1)));
  EXPECT_TRUE(absl::IsDataLoss(source.Difference(0, 0, "none", checksum)));
  for (const uint64_t offset : {uint64_t{10}, uint64_t{15}, ~uint64_t{0}}) {
    EXPECT_TRUE(absl::IsDataLoss(source.Difference(0, offset, difference, checksum))) << offset;
  }
  ASSERT_TRUE(source.Difference(0, 0, difference, checksum).ok());
  ASSERT_TRUE(source.Settle().ok());
  ASSERT_TRUE(receiver.complete());
  EXPECT_EQ(receiver.Take()->bytes.view(), data_.bytes.view());
}

TEST_F(VersionReceiverTest, TakesADifferenceToTheFirstChunkOfSeveralThatAreAlike) {
  VersionData data = data_;
  data.bytes = WeightBytes("0123401234cdef");
  Seal(&data);
  const VersionData base = With(With(data, 3, 'x'), 6, 'y');
  VersionReceiver receiver(data.version, kLimit, &base);
  ASSERT_TRUE(receiver.Manifest(ManifestOf(data), 14).ok());
  ChunkReceiver source = receiver.FromSource(&base);
  ASSERT_EQ(receiver.Missing(), (std::vector<size_t>{0, 1}));
  const std::string difference = Difference(base.Chunk(0), data.Chunk(0));
  for (const size_t chunk : {0, 1}) {
    ASSERT_TRUE(source.Difference(chunk, 0, difference, storage::Crc32c(data.Chunk(0))).ok());
  }
  ASSERT_TRUE(source.Settle().ok());
  EXPECT_EQ(receiver.Take()->bytes.view(), data.bytes.view());
}

TEST_F(VersionReceiverTest, RefusesDifferencesThatNobodyAskedFor) {
  const std::string difference = Difference(data_.Chunk(0), data_.Chunk(0));
  const uint32_t checksum = storage::Crc32c(data_.Chunk(0));
  ASSERT_TRUE(Begin(receiver_).ok());
  ChunkReceiver source = receiver_.FromSource(nullptr);
  EXPECT_TRUE(absl::IsDataLoss(source.Difference(0, 0, difference, checksum)));
  VersionData longer = data_;
  longer.bytes = WeightBytes("01234567abcdefmore");
  longer.chunk_digests = ChunkDigests(longer.bytes.view(), 5);
  VersionReceiver other(data_.version, kLimit, &longer);
  ASSERT_TRUE(Begin(other).ok());
  ChunkReceiver other_source = other.FromSource(&longer);
  EXPECT_TRUE(absl::IsDataLoss(other_source.Difference(0, 0, difference, checksum)));
}

TEST_F(VersionReceiverTest, RefusesAnotherVersionThanTheOneWanted) {
  VersionReceiver number({4, data_.version.digest}, kLimit);
  EXPECT_TRUE(absl::IsDataLoss(Begin(number)));
  VersionReceiver digest({3, "00"}, kLimit);
  EXPECT_TRUE(absl::IsDataLoss(Begin(digest)));
  VersionReceiver any({3, ""}, kLimit);
  EXPECT_TRUE(Begin(any).ok());
}

TEST_F(VersionReceiverTest, BeginsAnewAfterAnotherManifestThanBefore) {
  ASSERT_TRUE(Begin(receiver_).ok());
  ChunkReceiver source = receiver_.FromSource(nullptr);
  ASSERT_TRUE(Fill(source, 0, data_.Chunk(0)).ok());
  VersionData other = ManifestOf(data_);
  other.chunk_digests[0] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(receiver_.Manifest(other, 14)));
  EXPECT_EQ(receiver_.ready(), 0u);
  EXPECT_TRUE(receiver_.Manifest(other, 14).ok());
}

TEST_F(VersionReceiverTest, RefusesAManifestThatIsNotConsistent) {
  EXPECT_TRUE(absl::IsDataLoss(receiver_.Manifest(ManifestOf(data_), 15)));
  for (const uint64_t chunk_bytes : {uint64_t{0}, uint64_t{1}, uint64_t{14}, ~uint64_t{0}}) {
    VersionData manifest = ManifestOf(data_);
    manifest.chunk_bytes = chunk_bytes;
    EXPECT_TRUE(absl::IsDataLoss(receiver_.Manifest(manifest, 14))) << chunk_bytes;
  }
  VersionData fewer = ManifestOf(data_);
  fewer.chunk_digests.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(receiver_.Manifest(fewer, 14)));
}

TEST_F(VersionReceiverTest, RefusesAVersionOverTheLimit) {
  VersionReceiver receiver(data_.version, 13);
  EXPECT_TRUE(absl::IsResourceExhausted(Begin(receiver)));
}

}  // namespace
}  // namespace attnrl::learner
