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

std::string Xor(std::string_view a, std::string_view b) {
  std::string out(a.size(), '\0');
  for (size_t i = 0; i < a.size(); ++i) out[i] = static_cast<char>(a[i] ^ b[i]);
  return out;
}

}  // namespace

std::string Difference(std::string_view base, std::string_view bytes) {
  if (base.size() != bytes.size()) throw std::invalid_argument("a difference of two lengths");
  const std::string plain = Xor(base, bytes);
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), kLevel);
  if (ZSTD_isError(size) != 0) throw std::runtime_error(ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

absl::StatusOr<std::string> ApplyDifference(std::string_view base, std::string_view difference) {
  // Says its length before anything is decompressed.
  const uint64_t length = ZSTD_getFrameContentSize(difference.data(), difference.size());
  if (length != base.size()) {
    return absl::DataLossError(
        absl::StrCat("a difference of another length than ", base.size(), " bytes"));
  }
  std::string plain(base.size(), '\0');
  const size_t size =
      ZSTD_decompress(plain.data(), plain.size(), difference.data(), difference.size());
  if (ZSTD_isError(size) != 0 || size != plain.size()) {
    return absl::DataLossError("a difference that is no Zstandard frame");
  }
  return Xor(base, plain);
}

}  // namespace attnrl::learner
