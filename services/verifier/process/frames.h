// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "services/verifier/types.h"

namespace attnrl::verifier {

// What goes over the pipes between a GraderPool and an `attnrl-grader`
// (services/verifier/process/README.md, "Pipe format"): a frame is a 4-byte little-endian length
// and that many bytes of body.

// Longest body either side accepts.
inline constexpr size_t kMaxFrameBytes = size_t{64} << 20;

// The body of the first frame that a grader sends, once its limits are in force.
inline constexpr std::string_view kHello = "attnrl-grader 2";

// `body` as a frame.
std::string Frame(std::string_view body);

// Takes frames out of bytes that come in pieces of any size. Memory: the frame being read.
class FrameReader {
 public:
  void Append(std::string_view bytes);
  // The next complete frame's body, valid until the next call of either; nullopt: more bytes are
  // needed, or a length over kMaxFrameBytes was announced (then broken() stays true).
  std::optional<std::string_view> Next();
  bool broken() const { return broken_; }

 private:
  std::string buffer_;
  size_t taken_ = 0;
  bool broken_ = false;
};

// Bodies. Ids stay with the pool: results come in the order of the requests. Decoding returns
// nullopt for bytes that no encoder wrote.
std::string EncodeRequest(const GradeRequest& request);
std::optional<GradeRequest> DecodeRequest(std::string_view body);
std::string EncodeResult(const GradeResult& result);
std::optional<GradeResult> DecodeResult(std::string_view body);

}  // namespace attnrl::verifier
