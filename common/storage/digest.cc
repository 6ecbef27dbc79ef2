// SPDX-License-Identifier: Apache-2.0
#include "common/storage/digest.h"

#include <openssl/evp.h>

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace attnrl::storage {
namespace {

// Reflected polynomial of CRC-32C.
constexpr uint32_t kPolynomial = 0x82f63b78;

// tables[k][b]: the checksum of byte b followed by k zero bytes, so that eight bytes are one step.
constexpr std::array<std::array<uint32_t, 256>, 8> MakeTables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    for (size_t k = 1; k < 8; ++k) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr auto kTables = MakeTables();

// Both take and return the register, the complement of the checksum. The reference, for any CPU:
uint32_t UpdateByTable(const char* data, size_t size, uint32_t crc) {
  for (; size >= 8; size -= 8, data += 8) {
    uint64_t word = 0;
    std::memcpy(&word, data, 8);  // little-endian machines only, as all of the file formats
    word ^= crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; size > 0; --size, ++data) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(*data)) & 0xff];
  }
  return crc;
}

#if defined(__x86_64__)
constexpr size_t kStretch = 1024;

// A register that kStretch zero bytes follow, by the four bytes of what it was before.
using ZerosTable = std::array<std::array<uint32_t, 256>, 4>;
ZerosTable MakeZerosTable() {
  const std::array<char, kStretch> zeros{};
  ZerosTable table{};
  for (uint32_t bit = 0; bit < 32; ++bit) {
    const uint32_t after = UpdateByTable(zeros.data(), zeros.size(), 1u << bit);
    for (size_t byte = 0; byte < 256; ++byte) {
      if (((byte >> (bit % 8)) & 1) != 0) table[bit / 8][byte] ^= after;
    }
  }
  return table;
}

uint32_t AfterZeros(uint64_t crc) {
  static const ZerosTable table = MakeZerosTable();
  uint32_t after = 0;
  for (size_t k = 0; k < 4; ++k) after ^= table[k][(crc >> (8 * k)) & 0xff];
  return after;
}

// SSE4.2 has an instruction for it, whose result takes three times as long as the next one waits
// for: three stretches at once are three times as fast. The checksum of bytes that others follow is
// as if zeros followed, XOR that of the others alone.
__attribute__((target("sse4.2"))) uint32_t UpdateByInstruction(const char* data, size_t size,
                                                               uint32_t crc) {
  const auto step = [](uint64_t before, const char* at) __attribute__((target("sse4.2"))) {
    uint64_t word = 0;
    std::memcpy(&word, at, 8);
    return _mm_crc32_u64(before, word);
  };
  uint64_t wide = crc;
  for (; size >= 3 * kStretch; size -= 3 * kStretch, data += 3 * kStretch) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < kStretch; i += 8) {
      wide = step(wide, data + i);
      second = step(second, data + kStretch + i);
      third = step(third, data + 2 * kStretch + i);
    }
    wide = AfterZeros(AfterZeros(wide) ^ second) ^ third;
  }
  for (; size >= 8; size -= 8, data += 8) wide = step(wide, data);
  crc = static_cast<uint32_t>(wide);
  for (; size > 0; --size, ++data) crc = _mm_crc32_u8(crc, static_cast<unsigned char>(*data));
  return crc;
}

const bool kHasInstruction = __builtin_cpu_supports("sse4.2") != 0;
#endif

}  // namespace

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) { Start(); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void Start() { EVP_DigestInit_ex(context, EVP_sha256(), nullptr); }

  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(std::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

std::string Sha256::Digest() {
  std::array<unsigned char, kSha256Bytes> digest{};
  EVP_DigestFinal_ex(state_->context, digest.data(), nullptr);
  state_->Start();
  return {digest.begin(), digest.end()};
}

std::string Sha256::HexDigest() {
  std::string hex;
  for (const char byte : Digest()) {
    hex += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.HexDigest();
}

uint32_t Crc32c(std::string_view bytes, uint32_t crc) {
#if defined(__x86_64__)
  if (kHasInstruction) return ~UpdateByInstruction(bytes.data(), bytes.size(), ~crc);
#endif
  return Crc32cByTable(bytes, crc);
}

uint32_t Crc32cByTable(std::string_view bytes, uint32_t crc) {
  return ~UpdateByTable(bytes.data(), bytes.size(), ~crc);
}

}  // namespace attnrl::storage
