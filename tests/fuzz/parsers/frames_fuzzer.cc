// SPDX-License-Identifier: Apache-2.0
// Any bytes on the pipe between a verifier and its graders, in pieces: the frames are the same
// however they are cut, and what a body says is the same when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/verifier/process/frames.h"
#include "tests/fuzz/targets/require.h"

namespace attnrl::fuzz {
namespace {

struct Taken {
  std::vector<std::string> bodies;
  bool broken = false;
  bool operator==(const Taken&) const = default;
};

Taken TakeAll(std::string_view bytes, size_t piece) {
  Taken taken;
  verifier::FrameReader reader;
  for (size_t at = 0; at < bytes.size() && !taken.broken; at += piece) {
    reader.Append(bytes.substr(at, piece));
    while (const auto body = reader.Next()) taken.bodies.emplace_back(*body);
    taken.broken = reader.broken();
  }
  return taken;
}

void CheckBody(std::string_view body) {
  if (const auto request = verifier::DecodeRequest(body)) {
    const std::string again = verifier::EncodeRequest(*request);
    const auto read = verifier::DecodeRequest(again);
    Require(read.has_value() && verifier::EncodeRequest(*read) == again, "a request is read again");
  }
  if (const auto result = verifier::DecodeResult(body)) {
    const std::string again = verifier::EncodeResult(*result);
    const auto read = verifier::DecodeResult(again);
    Require(read.has_value() && verifier::EncodeResult(*read) == again, "a result is read again");
  }
}

void Check(std::string_view bytes) {
  const Taken whole = TakeAll(bytes, bytes.size() + 1);
  Require(whole == TakeAll(bytes, 1) && whole == TakeAll(bytes, 7),
          "frames don't depend on pieces");
  for (const std::string& body : whole.bodies) {
    Require(body.size() <= verifier::kMaxFrameBytes, "a frame has a bound");
    CheckBody(body);
  }
  CheckBody(bytes);
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
