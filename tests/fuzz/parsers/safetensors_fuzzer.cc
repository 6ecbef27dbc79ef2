// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: what is accepted lies in the file, one tensor behind the other,
// and can be read.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/files/safetensors_file.h"
#include "tests/fuzz/parsers/input_folder.h"

namespace attnrl::fuzz {
namespace {

void Check(std::string_view bytes) {
  static const InputFolder folder;
  const auto file = model::SafetensorsFile::Open(folder.Write("model.safetensors", bytes));
  if (!file.ok()) {
    Require(!file.status().message().empty(), "a refusal says why");
    return;
  }
  uint64_t end = 0;
  for (const model::TensorInfo& tensor : file->tensors()) {
    Require(tensor.begin == end && tensor.end >= tensor.begin, "tensors adjoin");
    end = tensor.end;
    Require(end <= bytes.size(), "a tensor lies in the file");
    std::vector<char> data(tensor.bytes() + 1);
    Require(file->ReadInto(tensor, data.data()).ok(), "a tensor can be read");
  }
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
