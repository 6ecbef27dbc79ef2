// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/safetensors_writer.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/model/files/safetensors.h"
#include "common/model/files/safetensors_header.h"

namespace attnrl::model {
namespace {

// The data begins at a multiple of this, for readers that map the file.
constexpr size_t kAlignment = 8;

}  // namespace

absl::StatusOr<std::string> SafetensorsWriter::Header(
    const std::map<std::string, Entry>& layout,
    const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t bytes = 0;
  for (const auto& [name, entry] : layout) {
    const std::string_view dtype = SafetensorsDType(entry.dtype);
    if (dtype.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, " has a dtype that can't be written"));
    }
    uint64_t size = c10::elementSize(entry.dtype);
    for (const int64_t extent : entry.shape) size *= static_cast<uint64_t>(extent);
    header[name] = {
        {"dtype", dtype}, {"shape", entry.shape}, {"data_offsets", {bytes, bytes + size}}};
    bytes += size;
  }
  std::string text = PrintJson(header);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  std::string length;
  for (size_t i = 0; i < kHeaderLengthBytes; ++i) {
    length.push_back(static_cast<char>(text.size() >> (8 * i) & 0xff));
  }
  return length + text;
}

absl::StatusOr<SafetensorsWriter> SafetensorsWriter::Create(
    const std::string& path, const std::map<std::string, Entry>& layout,
    const std::map<std::string, std::string>& metadata, storage::Sha256* digest) {
  const absl::StatusOr<std::string> header = Header(layout, metadata);
  if (!header.ok()) return Annotate(header.status(), path);
  ATTNRL_ASSIGN_OR_RETURN(storage::FileWriter file, storage::FileWriter::Create(path));
  SafetensorsWriter writer(std::move(file), digest);
  for (const auto& [name, entry] : layout) writer.missing_.push_back(name);
  ATTNRL_RETURN_IF_ERROR(writer.Append(*header));
  return writer;
}

absl::Status SafetensorsWriter::Append(std::string_view bytes) {
  if (digest_ != nullptr) digest_->Update(bytes);
  return file_.Append(bytes);
}

absl::Status SafetensorsWriter::Add(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  return AddBytes(name, {static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()});
}

absl::Status SafetensorsWriter::AddBytes(const std::string& name, std::string_view bytes) {
  if (missing_.empty() || missing_.front() != name) {
    return absl::InternalError(absl::StrCat("tensor ", name, " comes out of order"));
  }
  missing_.pop_front();
  return Append(bytes);
}

absl::Status SafetensorsWriter::Finish() {
  if (!missing_.empty()) {
    return absl::InternalError(absl::StrCat("tensor ", missing_.front(), " was not added"));
  }
  return file_.Finish();
}

}  // namespace attnrl::model
