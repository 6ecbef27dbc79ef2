// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <istream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace attnrl::storage {

// Texts compressed with Zstandard, as `zstd` reads and writes them.

// Whether a file of this name is compressed: it ends with ".zst".
bool IsCompressed(std::string_view path);
// The name that the same text has where it is compressed, if `path` is plain, and the other way
// round.
std::string OtherName(const std::string& path);

// `text` as one frame with a checksum. Takes a second for some hundred megabytes.
std::string Compress(std::string_view text);

// The text of a compressed file, decompressed as it is read. Reading stops with bad() where the
// file is damaged or ends early; error() then says why, with the path. One thread. Memory: the
// window of the frame, 128 MiB at most.
class CompressedInput : public std::istream {
 public:
  // bad() at once where the file can't be opened.
  explicit CompressedInput(const std::string& path);
  ~CompressedInput() override;
  absl::Status error() const;

 private:
  class Buffer;
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace attnrl::storage
