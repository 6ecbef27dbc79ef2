// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_receiver.h"

#include <gtest/gtest.h>

#include "common/storage/digest.h"
#include "services/learner/testing/sample_version.h"
#include "services/learner/versions/difference.h"

namespace attnrl::learner {
namespace {

constexpr uint64_t kLimit = 1 << 20;

VersionData ManifestOf(VersionData data) {
  data.bytes.clear();
  for (TensorEntry& tensor : data.tensors) tensor.offset = 0;
  return data;
}

absl::Status Send(VersionReceiver& receiver, uint64_t offset, std::string_view bytes) {
  return receiver.Chunk(offset, bytes, storage::Crc32c(bytes));
}

TEST(VersionReceiver, PutsTheChunksTogether) {
  const VersionData data = SampleVersion();
  VersionReceiver receiver(data.version, kLimit);
  ASSERT_TRUE(receiver.Manifest(ManifestOf(data), 14).ok());
  ASSERT_TRUE(Send(receiver, 0, data.bytes.substr(0, 10)).ok());
  EXPECT_FALSE(receiver.complete());
  ASSERT_TRUE(Send(receiver, 10, data.bytes.substr(10)).ok());
  ASSERT_TRUE(receiver.complete());
  const auto taken = receiver.Take();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ((*taken)->bytes, data.bytes);
  EXPECT_EQ((*taken)->Bytes((*taken)->tensors[1]), "abcdef");
}

TEST(VersionReceiver, GoesOnWhereAStreamBroke) {
  const VersionData data = SampleVersion();
  VersionReceiver receiver(data.version, kLimit);
  ASSERT_TRUE(receiver.Manifest(ManifestOf(data), 14).ok());
  ASSERT_TRUE(Send(receiver, 0, data.bytes.substr(0, 5)).ok());
  EXPECT_EQ(receiver.offset(), 5u);
  ASSERT_TRUE(receiver.Manifest(ManifestOf(data), 14).ok());
  ASSERT_TRUE(Send(receiver, 5, data.bytes.substr(5)).ok());
  EXPECT_TRUE(receiver.Take().ok());
}

TEST(VersionReceiver, RefusesAChunkWithAWrongChecksumAndKeepsWhatItHas) {
  const VersionData data = SampleVersion();
  VersionReceiver receiver(data.version, kLimit);
  ASSERT_TRUE(receiver.Manifest(ManifestOf(data), 14).ok());
  ASSERT_TRUE(Send(receiver, 0, "01234").ok());
  EXPECT_TRUE(absl::IsDataLoss(receiver.Chunk(5, "567", storage::Crc32c("568"))));
  EXPECT_EQ(receiver.offset(), 5u);
}

TEST(VersionReceiver, TakesDifferencesToTheVersionThatItKnows) {
  const VersionData data = SampleVersion();
  VersionData base = data;
  base.bytes[3] = 'x';
  VersionReceiver receiver(data.version, kLimit, &base);
  ASSERT_TRUE(receiver.Manifest(ManifestOf(data), 14).ok());
  const std::string difference = Difference(base.bytes, data.bytes);
  EXPECT_TRUE(absl::IsDataLoss(receiver.Difference(1, difference, storage::Crc32c(data.bytes))));
  EXPECT_TRUE(absl::IsDataLoss(receiver.Difference(0, difference, storage::Crc32c(base.bytes))));
  EXPECT_TRUE(absl::IsDataLoss(receiver.Difference(0, "none", storage::Crc32c(data.bytes))));
  ASSERT_TRUE(receiver.Difference(0, difference, storage::Crc32c(data.bytes)).ok());
  const auto taken = receiver.Take();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ((*taken)->bytes, data.bytes);
}

TEST(VersionReceiver, RefusesDifferencesThatNobodyAskedFor) {
  const VersionData data = SampleVersion();
  const std::string difference = Difference(data.bytes, data.bytes);
  const uint32_t checksum = storage::Crc32c(data.bytes);
  VersionReceiver without(data.version, kLimit);
  ASSERT_TRUE(without.Manifest(ManifestOf(data), 14).ok());
  EXPECT_TRUE(absl::IsDataLoss(without.Difference(0, difference, checksum)));
  VersionData longer = data;
  longer.bytes += "more";
  VersionReceiver other(data.version, kLimit, &longer);
  ASSERT_TRUE(other.Manifest(ManifestOf(data), 14).ok());
  EXPECT_TRUE(absl::IsDataLoss(other.Difference(0, difference, checksum)));
}

TEST(VersionReceiver, RefusesAWholeThatHasAnotherDigest) {
  const VersionData data = SampleVersion();
  VersionReceiver receiver(data.version, kLimit);
  ASSERT_TRUE(receiver.Manifest(ManifestOf(data), 14).ok());
  ASSERT_TRUE(Send(receiver, 0, "01234567abcdeF").ok());
  EXPECT_TRUE(absl::IsDataLoss(receiver.Take().status()));
  EXPECT_EQ(receiver.offset(), 0u);
}

TEST(VersionReceiver, RefusesBytesOutOfPlace) {
  const VersionData data = SampleVersion();
  VersionReceiver receiver(data.version, kLimit);
  EXPECT_TRUE(absl::IsDataLoss(Send(receiver, 0, "01")));  // before the manifest
  ASSERT_TRUE(receiver.Manifest(ManifestOf(data), 14).ok());
  EXPECT_TRUE(absl::IsDataLoss(Send(receiver, 1, "12")));
  EXPECT_TRUE(absl::IsDataLoss(Send(receiver, 0, "01234567abcdefg")));
}

TEST(VersionReceiver, RefusesAnotherVersionThanTheOneWanted) {
  const VersionData data = SampleVersion();
  VersionReceiver number({4, data.version.digest}, kLimit);
  EXPECT_TRUE(absl::IsDataLoss(number.Manifest(ManifestOf(data), 14)));
  VersionReceiver digest({3, "00"}, kLimit);
  EXPECT_TRUE(absl::IsDataLoss(digest.Manifest(ManifestOf(data), 14)));
  VersionReceiver any({3, ""}, kLimit);
  EXPECT_TRUE(any.Manifest(ManifestOf(data), 14).ok());
  VersionReceiver total({3, ""}, kLimit);
  EXPECT_TRUE(absl::IsDataLoss(total.Manifest(ManifestOf(data), 15)));
}

TEST(VersionReceiver, RefusesAVersionOverTheLimit) {
  const VersionData data = SampleVersion();
  VersionReceiver receiver(data.version, 13);
  EXPECT_TRUE(absl::IsResourceExhausted(receiver.Manifest(ManifestOf(data), 14)));
}

}  // namespace
}  // namespace attnrl::learner
