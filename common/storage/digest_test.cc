// SPDX-License-Identifier: Apache-2.0
#include "common/storage/digest.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace attnrl::storage {
namespace {

TEST(Sha256, EqualsTheStandardsExamples) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, DoesNotDependOnThePieces) {
  Sha256 pieces;
  pieces.Update("a");
  pieces.Update("");
  pieces.Update("bc");
  EXPECT_EQ(pieces.HexDigest(), Sha256Hex("abc"));
}

TEST(Sha256, StartsOverAfterADigest) {
  Sha256 hash;
  hash.Update("something");
  static_cast<void>(hash.HexDigest());
  hash.Update("abc");
  EXPECT_EQ(hash.Digest().substr(0, 2), "\xba\x78");
  hash.Update("abc");
  EXPECT_EQ(hash.HexDigest(), Sha256Hex("abc"));
}

TEST(Sha256, GoesOnAfterAMove) {
  Sha256 first;
  first.Update("ab");
  Sha256 second = std::move(first);
  second.Update("c");
  EXPECT_EQ(second.HexDigest(), Sha256Hex("abc"));
}

TEST(Crc32c, EqualsTheExamplesOfRfc3720) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Crc32c, IsTheSameWithAndWithoutTheInstruction) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(Crc32c(bytes, 7), Crc32cByTable(bytes, 7)) << bytes.size();
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_EQ(Crc32cByTable("123456789"), 0xe3069283u);
}

TEST(Crc32c, OfALongTextIsTheSameWithAndWithoutTheInstruction) {
  std::string bytes;
  for (int i = 0; i < 9300; ++i) bytes += static_cast<char>((i * 37) ^ (i >> 7));
  for (const size_t size : {3071, 3072, 3073, 3080, 6143, 6144, 9217, 9300}) {
    const std::string_view part = std::string_view(bytes).substr(0, size);
    EXPECT_EQ(Crc32c(part, 7), Crc32cByTable(part, 7)) << size;
  }
}

TEST(Crc32c, JoinsPieces) {
  const std::string text = "The quick brown fox jumps over the lazy dog";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), Crc32c(text)) << cut;
  }
}

TEST(Sha256, EqualsTheExamplesOfTwoBlocksAndOfAMillionBytes) {
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256Hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnWhereABlockIsCut) {
  std::string text;
  for (int i = 0; i < 130; ++i) text += static_cast<char>(i);
  for (const size_t size : {55, 56, 63, 64, 65, 119, 120, 128, 130}) {
    const std::string bytes = text.substr(0, size);
    for (size_t cut = 0; cut <= size; ++cut) {
      Sha256 hash;
      hash.Update(bytes.data(), cut);
      hash.Update(std::string_view(bytes).substr(cut));
      EXPECT_EQ(hash.HexDigest(), Sha256Hex(bytes)) << size << " " << cut;
    }
  }
}

TEST(Crc32c, EqualsTheOtherExamplesOfRfc3720) {
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(Crc32c(std::string(ascending.rbegin(), ascending.rend())), 0x113fdb5cu);
  // An iSCSI SCSI Read (10) command.
  std::string command(48, '\0');
  const std::pair<size_t, int> set[] = {{0, 0x01},  {1, 0xc0},  {16, 0x14}, {22, 0x04},
                                        {27, 0x14}, {31, 0x18}, {32, 0x28}, {40, 0x02}};
  for (const auto& [at, byte] : set) command[at] = static_cast<char>(byte);
  EXPECT_EQ(Crc32c(command), 0xd9963a56u);
}

TEST(Crc32c, ChangesWithAnyBit) {
  const std::string text = "The quick brown fox";
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string changed = text;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(Crc32c(changed), Crc32c(text)) << bit;
  }
}

}  // namespace
}  // namespace attnrl::storage
