// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/difference.h"

#include <zstd.h>

#include <stdexcept>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace attnrl::learner {
namespace {

// The fastest level: long runs of zeros are all there is to find.
constexpr int kLevel = 1;

// Into `bytes`, which `with` is as long as.
void Xor(std::string_view with, std::span<char> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(bytes[i] ^ with[i]);
}

}  // namespace

std::string Difference(std::string_view base, std::string_view bytes) {
  if (base.size() != bytes.size()) throw std::invalid_argument("a difference of two lengths");
  std::string plain(bytes);
  Xor(base, plain);
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), kLevel);
  if (ZSTD_isError(size) != 0) throw std::runtime_error(ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

absl::Status ApplyDifference(std::string_view base, std::string_view difference,
                             std::span<char> bytes) {
  if (base.size() != bytes.size()) throw std::invalid_argument("a difference of two lengths");
  // Says its length before anything is decompressed.
  const uint64_t length = ZSTD_getFrameContentSize(difference.data(), difference.size());
  if (length != bytes.size()) {
    return absl::DataLossError(
        absl::StrCat("a difference of another length than ", bytes.size(), " bytes"));
  }
  const size_t size =
      ZSTD_decompress(bytes.data(), bytes.size(), difference.data(), difference.size());
  if (ZSTD_isError(size) != 0 || size != bytes.size()) {
    return absl::DataLossError("a difference that is no Zstandard frame");
  }
  Xor(base, bytes);
  return absl::OkStatus();
}

}  // namespace attnrl::learner
