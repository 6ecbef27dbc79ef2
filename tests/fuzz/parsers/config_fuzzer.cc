// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration file: what is accepted is the same when it is written and read
// again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/config/config.h"
#include "tests/fuzz/parsers/input_folder.h"

namespace attnrl::fuzz {
namespace {

void Check(std::string_view bytes) {
  static const InputFolder folder;
  const auto config = config::Load(folder.Write("run.yaml", bytes), {}, {});
  if (!config.ok()) {
    Require(!config.status().message().empty(), "a refusal says why");
    return;
  }
  const std::string printed = config::ToYaml(*config);
  const auto again = config::Load(folder.Write("again.yaml", printed), {}, {});
  Require(again.ok(), "what is printed can be read");
  Require(config::ToYaml(*again) == printed, "and means the same");
  Require(config::CheckResume(*config, *again).ok(), "a run may go on as itself");
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
