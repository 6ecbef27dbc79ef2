// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/files/safetensors.h"
#include "common/model/files/safetensors_writer.h"
#include "common/storage/digest.h"

namespace attnrl::learner {
namespace {

const std::map<std::string, std::string> kMetadata = {{"format", "pt"}};

at::ScalarType ScalarTypeOf(const TensorEntry& entry) {
  return entry.dtype == "BF16" ? at::kBFloat16 : at::kFloat;
}

std::map<std::string, model::SafetensorsWriter::Entry> LayoutOf(const VersionData& data) {
  std::map<std::string, model::SafetensorsWriter::Entry> layout;
  for (const TensorEntry& entry : data.tensors) {
    layout[entry.name] = {ScalarTypeOf(entry), entry.shape};
  }
  return layout;
}

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
    ATTNRL_ASSIGN_OR_RETURN(
        data.bytes, WeightBytes::Room(data.tensors.back().offset + data.tensors.back().size));
  }
  for (size_t i = 0; i < infos.size(); ++i) {
    ATTNRL_RETURN_IF_ERROR(file.ReadInto(infos[i], data.bytes.room() + data.tensors[i].offset));
  }
  Seal(&data);
  return data;
}

}  // namespace

VersionData ToVersionData(uint32_t number, const model::Tensors& tensors) {
  VersionData data;
  uint64_t total = 0;
  for (const auto& [name, tensor] : tensors) total += tensor.nbytes();
  data.bytes = WeightBytes::Room(total).value();
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    data.tensors.push_back({.name = name,
                            .dtype = std::string(model::SafetensorsDType(plain.scalar_type())),
                            .shape = plain.sizes().vec(),
                            .offset = offset,
                            .size = plain.nbytes()});
    std::memcpy(data.bytes.room() + offset, plain.const_data_ptr(), plain.nbytes());
    offset += plain.nbytes();
  }
  data.version.number = number;
  Seal(&data);
  return data;
}

absl::Status WriteVersionFile(const std::string& path, const VersionData& data) {
  ATTNRL_ASSIGN_OR_RETURN(
      model::SafetensorsWriter writer,
      model::SafetensorsWriter::Create(path, LayoutOf(data), kMetadata, /*digest=*/nullptr));
  for (const TensorEntry& tensor : data.tensors) {
    ATTNRL_RETURN_IF_ERROR(writer.AddBytes(tensor.name, data.Bytes(tensor)));
  }
  return writer.Finish();
}

std::string VersionFileDigest(const VersionData& data) {
  storage::Sha256 digest;
  digest.Update(model::SafetensorsWriter::Header(LayoutOf(data), kMetadata).value());
  digest.Update(data.bytes.view());
  return digest.HexDigest();
}

absl::StatusOr<VersionData> ReadVersionFile(const std::string& path) {
  absl::StatusOr<VersionData> data = Read(path);
  // The learner wrote the file itself: what is wrong with it is no user's mistake but damage.
  if (IsInputError(data.status())) return absl::DataLossError(data.status().message());
  // Reading takes no room on a disk: it is memory that lacks, and may be there later.
  if (absl::IsResourceExhausted(data.status())) {
    return absl::UnavailableError(data.status().message());
  }
  return data;
}

}  // namespace attnrl::learner
