// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/piece_wire.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/learner/testing/sample_version.h"

namespace attnrl::learner {
namespace {

std::string BytesOf(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(message.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

v1::VersionChunk Fields() {
  v1::VersionChunk chunk;
  chunk.set_offset(uint64_t{5} << 40);
  chunk.set_crc32c(0xfedcba98);
  return chunk;
}

grpc::ByteBuffer MessageOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

bool Reads(const std::string& bytes, std::string* room, v1::VersionChunk* chunk) {
  grpc::ByteBuffer message = MessageOf(bytes);
  return ReadChunk(&message, *room, chunk).ok();
}

TEST(PieceWire, IsWhatProtobufMakesOfIt) {
  for (const size_t size : {0, 1, 127, 128, 1 << 20}) {
    const auto data = std::make_shared<const std::string>(size, 'x');
    const std::string bytes = BytesOf(ToMessage(Fields(), *data, data));
    v1::VersionPiece piece;
    ASSERT_TRUE(piece.ParseFromString(bytes));
    EXPECT_EQ(piece.chunk().offset(), Fields().offset());
    EXPECT_EQ(piece.chunk().crc32c(), Fields().crc32c());
    EXPECT_EQ(piece.chunk().data(), *data);
  }
}

TEST(PieceWire, KeepsTheBytesUntilTheMessageIsGone) {
  auto data = std::make_shared<const std::string>(100, 'x');
  std::weak_ptr<const std::string> kept = data;
  {
    const grpc::ByteBuffer message = ToMessage(Fields(), *data, data);
    data.reset();
    EXPECT_FALSE(kept.expired());
  }
  EXPECT_TRUE(kept.expired());
}

TEST(PieceWire, ReadsWhatProtobufWrites) {
  v1::VersionPiece piece;
  *piece.mutable_chunk() = Fields();
  piece.mutable_chunk()->set_data("some bytes");
  std::string room(10, '?');
  v1::VersionChunk chunk;
  ASSERT_TRUE(Reads(piece.SerializeAsString(), &room, &chunk));
  EXPECT_EQ(room, "some bytes");
  EXPECT_EQ(chunk.SerializeAsString(), Fields().SerializeAsString());
  piece.mutable_chunk()->clear_data();
  piece.mutable_chunk()->set_difference("shorter");
  ASSERT_TRUE(Reads(piece.SerializeAsString(), &room, &chunk));
  EXPECT_EQ(chunk.difference(), "shorter");
}

TEST(PieceWire, RefusesAllButAWholeChunkOfItsLength) {
  v1::VersionPiece piece;
  *piece.mutable_chunk() = Fields();
  piece.mutable_chunk()->set_data("some bytes");
  const std::string good = piece.SerializeAsString();
  v1::VersionChunk chunk;
  for (const size_t size : {0, 9, 11}) {
    std::string room(size, '?');
    EXPECT_FALSE(Reads(good, &room, &chunk)) << size;
  }
  std::string room(10, '?');
  for (size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(Reads(good.substr(0, cut), &room, &chunk)) << cut;
  }
  EXPECT_FALSE(Reads(good + "x", &room, &chunk));
  EXPECT_FALSE(Reads(good + good, &room, &chunk));
  piece.mutable_chunk()->clear_data();
  EXPECT_FALSE(Reads(piece.SerializeAsString(), &room, &chunk)) << "neither data nor difference";
  *piece.mutable_manifest() = ToProto(SampleVersion());
  EXPECT_FALSE(Reads(piece.SerializeAsString(), &room, &chunk));
}

TEST(PieceWire, OfAnyBytesWritesNothingBesideTheRoom) {
  v1::VersionPiece piece;
  *piece.mutable_chunk() = Fields();
  piece.mutable_chunk()->set_data("some bytes");
  const std::string good = piece.SerializeAsString();
  for (size_t at = 0; at < good.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(value);
      std::string room(30, '?');
      v1::VersionChunk chunk;
      grpc::ByteBuffer message = MessageOf(bytes);
      (void)ReadChunk(&message, std::span<char>(room).subspan(10, 10), &chunk);
      EXPECT_EQ(room.substr(0, 10) + room.substr(20), std::string(20, '?'));
    }
  }
}

TEST(PieceWire, AManifestComesBackWithoutItsBytes) {
  const VersionData version = SampleVersion();
  const v1::VersionManifest manifest = ToProto(version);
  EXPECT_EQ(manifest.total_bytes(), 14u);
  const VersionData back = FromProto(manifest);
  EXPECT_EQ(back.version, version.version);
  EXPECT_EQ(back.chunk_bytes, 5u);
  EXPECT_EQ(back.chunk_digests, version.chunk_digests);
  ASSERT_EQ(back.tensors.size(), 2u);
  EXPECT_EQ(back.tensors[1].name, "b");
  EXPECT_EQ(back.tensors[1].shape, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(back.tensors[1].size, 6u);
}

}  // namespace
}  // namespace attnrl::learner
