// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/grader_loop.h"

#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/verifier/process/frames.h"

namespace attnrl::verifier {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;

// Of its own: the grader links nothing that a sandboxed process doesn't need.
bool WriteAll(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

int RunGraderLoop(const std::function<GradeResult(const GradeRequest&)>& grade) {
  if (!WriteAll(Frame(kHello))) return 1;
  FrameReader reader;
  std::vector<char> buffer(kReadBytes);
  while (true) {
    ssize_t got = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0 ? 0 : 1;
    reader.Append(std::string_view(buffer.data(), static_cast<size_t>(got)));
    while (std::optional<std::string_view> body = reader.Next()) {
      std::optional<GradeRequest> request = DecodeRequest(*body);
      if (!request || !WriteAll(Frame(EncodeResult(grade(*request))))) return 1;
    }
    if (reader.broken()) return 1;
  }
}

}  // namespace attnrl::verifier
