// SPDX-License-Identifier: Apache-2.0
#include "common/text/byte_alphabet.h"

#include <array>

namespace attnrl::text {
namespace {

constexpr int kCodePoints = 256 + 68;

bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<int, 256> code_point{};
  std::array<int, kCodePoints> byte{};  // -1: not in the alphabet
};

Alphabet MakeAlphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const int code_point = StandsForItself(byte) ? byte : next++;
    alphabet.code_point[static_cast<size_t>(byte)] = code_point;
    alphabet.byte[static_cast<size_t>(code_point)] = byte;
  }
  return alphabet;
}

const Alphabet& TheAlphabet() {
  static const Alphabet alphabet = MakeAlphabet();
  return alphabet;
}

}  // namespace

std::string ByteCharacter(uint8_t byte) {
  const int code_point = TheAlphabet().code_point[byte];
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xC0 | (code_point >> 6)), static_cast<char>(0x80 | (code_point & 63))};
}

std::optional<std::string> AlphabetBytes(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t at = 0; at < token.size(); ++at) {
    int code_point = static_cast<uint8_t>(token[at]);
    if (code_point >= 0x80) {
      // All of the alphabet has at most two bytes in UTF-8.
      if ((code_point & 0xE0) != 0xC0 || at + 1 >= token.size()) return std::nullopt;
      code_point = ((code_point & 0x1F) << 6) | (static_cast<uint8_t>(token[++at]) & 0x3F);
    }
    if (code_point >= kCodePoints) return std::nullopt;
    const int byte = TheAlphabet().byte[static_cast<size_t>(code_point)];
    if (byte < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

}  // namespace attnrl::text
