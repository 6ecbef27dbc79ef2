// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace attnrl::storage {

inline constexpr size_t kSha256Bytes = 32;

// SHA-256 over bytes that arrive in pieces. Movable; not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  void Update(const void* data, size_t size) {
    Update(std::string_view(static_cast<const char*>(data), size));
  }
  // The kSha256Bytes bytes of everything so far. The object starts over after it.
  std::string Digest();
  // The same as 64 lowercase hex digits.
  std::string HexDigest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// HexDigest of one piece.
std::string Sha256Hex(std::string_view bytes);

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`; `crc` is that of what came before them,
// so that Crc32c(b, Crc32c(a)) is the checksum of a and b joined. Pure.
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);
// The same without the CPU's own instruction: the reference that tests compare with.
uint32_t Crc32cByTable(std::string_view bytes, uint32_t crc = 0);

}  // namespace attnrl::storage
