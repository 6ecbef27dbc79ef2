// SPDX-License-Identifier: Apache-2.0
// Any bytes as a model folder's chat template: what is accepted renders conversations within its
// limits, the same each time, or refuses them.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/text/chat_template.h"
#include "tests/fuzz/parsers/input_folder.h"

namespace attnrl::fuzz {
namespace {

constexpr size_t kMaxRendered = size_t{64} << 20;

void Check(std::string_view bytes) {
  static const InputFolder folder;
  folder.Write("chat_template.jinja", bytes);
  const auto chat = text::ChatTemplate::Load(folder.path(), "");
  if (!chat.ok()) {
    Require(!chat.status().message().empty(), "a refusal says why");
    return;
  }
  const std::vector<text::ChatMessage> talk = {{"system", "be brief"},
                                               {"user", " 1+1? \n"},
                                               {"assistant", "<think>x</think>2"},
                                               {"user", ""}};
  for (const auto& messages : {talk, std::vector<text::ChatMessage>{}}) {
    const auto rendered = chat->Render(messages, true);
    const auto again = chat->Render(messages, true);
    Require(rendered.ok() == again.ok() && (!rendered.ok() || *rendered == *again),
            "a rendering is the same each time");
    Require(!rendered.ok() || rendered->size() <= kMaxRendered, "a rendering has a bound");
  }
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
