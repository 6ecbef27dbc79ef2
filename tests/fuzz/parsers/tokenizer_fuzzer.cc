// SPDX-License-Identifier: Apache-2.0
// Any bytes as tokenizer.json: what is accepted makes ids of its own of every text, and a text of
// every id.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/text/tokenizer.h"
#include "tests/fuzz/parsers/input_folder.h"

namespace attnrl::fuzz {
namespace {

constexpr std::string_view kTexts[] = {"", "a b", "<|end|>ab\n\n12 \xC3\xA9\xFF",
                                       "the quick brown fox's 1234567 dogs"};

void Check(std::string_view bytes) {
  static const InputFolder folder;
  folder.Write("tokenizer.json", bytes);
  const auto tokenizer = text::Tokenizer::Load(folder.path());
  if (!tokenizer.ok()) {
    Require(!tokenizer.status().message().empty(), "a refusal says why");
    return;
  }
  for (const std::string_view text : kTexts) {
    const std::vector<int32_t> ids = tokenizer->Encode(text);
    for (const int32_t id : ids)
      Require(id >= 0 && id < tokenizer->size(), "an id is one of its own");
    tokenizer->Decode(ids);
  }
  for (const int32_t id : {-1, 0, tokenizer->size() - 1, tokenizer->size(), INT32_MAX}) {
    tokenizer->TokenBytes(id);
    tokenizer->IsAdded(id);
    tokenizer->Decode(std::vector<int32_t>{id}, /*keep_special=*/false);
  }
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
