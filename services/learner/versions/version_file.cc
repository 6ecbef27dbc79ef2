// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/files/safetensors.h"

namespace attnrl::learner {
namespace {

// The entries of `file` in byte order of the tensors' names, as they will lie in one buffer.
absl::StatusOr<std::vector<TensorEntry>> Entries(const std::string& path,
                                                 const std::vector<model::TensorInfo>& infos) {
  std::vector<TensorEntry> entries;
  uint64_t offset = 0;
  for (const model::TensorInfo& info : infos) {
    if (info.dtype != "F32" && info.dtype != "BF16") {
      return InputError(path, absl::StrCat("tensor ", OneLine(info.name, 120), " is ", info.dtype),
                        "a version holds only F32 and BF16");
    }
    entries.push_back({.name = info.name,
                       .dtype = info.dtype,
                       .shape = info.shape,
                       .offset = offset,
                       .size = info.bytes()});
    offset += info.bytes();
  }
  return entries;
}

absl::StatusOr<VersionData> Read(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(const model::SafetensorsFile file, model::SafetensorsFile::Open(path));
  std::vector<model::TensorInfo> infos = file.tensors();
  std::sort(infos.begin(), infos.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  VersionData data;
  ATTNRL_ASSIGN_OR_RETURN(data.tensors, Entries(path, infos));
  if (!data.tensors.empty()) {
    data.bytes.resize(data.tensors.back().offset + data.tensors.back().size);
  }
  for (size_t i = 0; i < infos.size(); ++i) {
    ATTNRL_RETURN_IF_ERROR(file.ReadInto(infos[i], data.bytes.data() + data.tensors[i].offset));
  }
  data.version.digest = VersionDigest(data);
  return data;
}

}  // namespace

VersionData ToVersionData(uint32_t number, const model::Tensors& tensors) {
  VersionData data;
  uint64_t total = 0;
  for (const auto& [name, tensor] : tensors) total += tensor.nbytes();
  data.bytes.reserve(total);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    data.tensors.push_back({.name = name,
                            .dtype = std::string(model::SafetensorsDType(plain.scalar_type())),
                            .shape = plain.sizes().vec(),
                            .offset = data.bytes.size(),
                            .size = plain.nbytes()});
    data.bytes.append(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
  }
  data.version = {number, VersionDigest(data)};
  return data;
}

absl::StatusOr<VersionData> ReadVersionFile(const std::string& path) {
  absl::StatusOr<VersionData> data = Read(path);
  // The learner wrote the file itself: what is wrong with it is no user's mistake but damage.
  if (IsInputError(data.status())) return absl::DataLossError(data.status().message());
  return data;
}

model::Tensors ToTensors(const VersionData& data) {
  model::Tensors tensors;
  for (const TensorEntry& entry : data.tensors) {
    const at::ScalarType type = entry.dtype == "BF16" ? at::kBFloat16 : at::kFloat;
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(type));
    data.Bytes(entry).copy(static_cast<char*>(tensor.mutable_data_ptr()), tensor.nbytes());
    tensors[entry.name] = std::move(tensor);
  }
  return tensors;
}

}  // namespace attnrl::learner
