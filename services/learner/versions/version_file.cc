// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/files.h"

namespace attnrl::learner {
namespace {

// Length of the header, then the header, then the tensors (safetensors format, README.md).
constexpr uint64_t kLengthBytes = 8;

absl::Status Damaged(const std::string& path, const std::string& what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

// A tensor's entry; its offset is that in the file's data for now.
absl::StatusOr<TensorEntry> ParseEntry(const std::string& path, const std::string& name,
                                       const nlohmann::json& value, uint64_t data_bytes) {
  TensorEntry entry{.name = name,
                    .dtype = value.at("dtype").get<std::string>(),
                    .shape = value.at("shape").get<std::vector<int64_t>>()};
  const auto offsets = value.at("data_offsets").get<std::vector<uint64_t>>();
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes) {
    return Damaged(path, absl::StrCat("tensor ", name, " lies outside the file"));
  }
  entry.offset = offsets[0];
  entry.size = offsets[1] - offsets[0];
  return entry;
}

absl::StatusOr<std::vector<TensorEntry>> ParseHeader(const std::string& path,
                                                     const std::string& file,
                                                     uint64_t* data_begin) {
  uint64_t length = 0;
  if (file.size() < kLengthBytes) return Damaged(path, "shorter than a header");
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > file.size() - kLengthBytes) return Damaged(path, "header longer than the file");
  *data_begin = kLengthBytes + length;
  std::vector<TensorEntry> entries;
  try {
    const auto header = nlohmann::json::parse(file.begin() + kLengthBytes,
                                              file.begin() + static_cast<ptrdiff_t>(*data_begin));
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") continue;
      ATTNRL_ASSIGN_OR_RETURN(TensorEntry entry,
                              ParseEntry(path, name, value, file.size() - *data_begin));
      entries.push_back(std::move(entry));
    }
  } catch (const std::exception& error) {
    return Damaged(path, absl::StrCat("header can't be read: ", error.what()));
  }
  std::sort(entries.begin(), entries.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  return entries;
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
                            .dtype = plain.scalar_type() == at::kBFloat16 ? "BF16" : "F32",
                            .shape = plain.sizes().vec(),
                            .offset = data.bytes.size(),
                            .size = plain.nbytes()});
    data.bytes.append(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
  }
  data.version = {number, VersionDigest(data)};
  return data;
}

absl::StatusOr<VersionData> ReadVersionFile(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string file, storage::ReadFile(path));
  uint64_t data_begin = 0;
  VersionData data;
  ATTNRL_ASSIGN_OR_RETURN(data.tensors, ParseHeader(path, file, &data_begin));
  data.bytes.reserve(file.size() - data_begin);
  for (TensorEntry& entry : data.tensors) {
    const uint64_t from = data_begin + entry.offset;
    entry.offset = data.bytes.size();
    data.bytes.append(file, from, entry.size);
  }
  data.version.digest = VersionDigest(data);
  return data;
}

model::Tensors ToTensors(const VersionData& data) {
  model::Tensors tensors;
  for (const TensorEntry& entry : data.tensors) {
    const at::ScalarType type = entry.dtype == "BF16" ? at::kBFloat16 : at::kFloat;
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(type));
    std::memcpy(tensor.mutable_data_ptr(), data.Bytes(entry).data(),
                std::min<uint64_t>(tensor.nbytes(), entry.size));
    tensors[entry.name] = std::move(tensor);
  }
  return tensors;
}

}  // namespace attnrl::learner
