// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/safetensors.h"

#include <ATen/ATen.h>

#include <array>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/model/files/weights.h"
#include "common/storage/files.h"

namespace attnrl::model {
namespace {

// The data begins at a multiple of this, for readers that map the file.
constexpr size_t kAlignment = 8;

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 6> kTypes = {
    {{"F32", at::kFloat},
     {"BF16", at::kBFloat16},
     {"F16", at::kHalf},
     {"F64", at::kDouble},
     {"I64", at::kLong},
     {"U8", at::kByte}}};

}  // namespace

absl::StatusOr<at::Tensor> ReadTensor(const SafetensorsFile& file, const TensorInfo& info) {
  for (const auto& [name, type] : kTypes) {
    if (name != info.dtype) continue;
    at::Tensor tensor;
    try {
      tensor = at::empty(info.shape, at::TensorOptions(type));
    } catch (const std::exception&) {
      return absl::ResourceExhaustedError(
          absl::StrCat(file.path(), ": not enough memory for tensor ", info.name));
    }
    ATTNRL_RETURN_IF_ERROR(file.ReadInto(info, tensor.mutable_data_ptr()));
    return tensor;
  }
  return InputError(file.path(),
                    absl::StrCat("tensor ", OneLine(info.name, 120), " is ", info.dtype),
                    "F32, BF16 and F16 are supported");
}

std::string_view SafetensorsDType(const at::Tensor& tensor) {
  for (const auto& [name, type] : kTypes) {
    if (type == tensor.scalar_type()) return name;
  }
  return "";
}

absl::Status WriteSafetensors(const std::string& path, const Tensors& tensors,
                              const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::string_view dtype = SafetensorsDType(tensor);
    if (dtype.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensor ", name, " has a dtype that can't be written"));
    }
    const uint64_t end = bytes + tensor.nbytes();
    header[name] = {
        {"dtype", dtype}, {"shape", tensor.sizes().vec()}, {"data_offsets", {bytes, end}}};
    bytes = end;
  }
  std::string text = PrintJson(header);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');

  std::string file;
  file.reserve(kHeaderLengthBytes + text.size() + bytes);
  for (size_t i = 0; i < kHeaderLengthBytes; ++i) {
    file.push_back(static_cast<char>(text.size() >> (8 * i) & 0xff));
  }
  file += text;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    file.append(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
  }
  return storage::WriteFileAtomically(path, file);
}

}  // namespace attnrl::model
