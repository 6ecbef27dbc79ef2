// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/safetensors.h"

#include <ATen/ATen.h>

#include <array>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/files/safetensors_writer.h"
#include "common/model/files/weights.h"

namespace attnrl::model {
namespace {

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

std::string_view SafetensorsDType(at::ScalarType dtype) {
  for (const auto& [name, type] : kTypes) {
    if (type == dtype) return name;
  }
  return "";
}

absl::Status WriteSafetensors(const std::string& path, const Tensors& tensors,
                              const std::map<std::string, std::string>& metadata,
                              storage::Sha256* digest) {
  std::map<std::string, SafetensorsWriter::Entry> layout;
  for (const auto& [name, tensor] : tensors) {
    layout[name] = {tensor.scalar_type(), tensor.sizes().vec()};
  }
  ATTNRL_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                          SafetensorsWriter::Create(path, layout, metadata, digest));
  for (const auto& [name, tensor] : tensors) ATTNRL_RETURN_IF_ERROR(writer.Add(name, tensor));
  return writer.Finish();
}

}  // namespace attnrl::model
