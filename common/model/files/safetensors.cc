// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/safetensors.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/files/weights.h"
#include "common/storage/files.h"

namespace attnrl::model {
namespace {

constexpr char kAllowed[] = "an intact safetensors file is needed";
// The data begins at a multiple of this, for readers that map the file.
constexpr size_t kAlignment = 8;

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 5> kTypes = {
    {{"F32", at::kFloat},
     {"BF16", at::kBFloat16},
     {"F64", at::kDouble},
     {"I64", at::kLong},
     {"U8", at::kByte}}};

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return InputError(path, std::strerror(errno), "a readable file is needed");
  SafetensorsFile file(path, descriptor);
  ATTNRL_RETURN_IF_ERROR(file.ReadHeader());
  return file;
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      data_begin_(other.data_begin_),
      tensors_(std::move(other.tensors_)) {}

SafetensorsFile::~SafetensorsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::Status SafetensorsFile::ReadHeader() {
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    return InputError(path_, "is no file", kAllowed);
  }
  const auto file_bytes = static_cast<uint64_t>(status.st_size);
  std::array<unsigned char, kHeaderLengthBytes> field = {};
  if (file_bytes >= field.size()) ATTNRL_RETURN_IF_ERROR(ReadBytes(0, field.data(), field.size()));
  uint64_t header_bytes = 0;  // little-endian in the file
  for (size_t i = field.size(); i-- > 0;) header_bytes = header_bytes << 8 | field[i];
  ATTNRL_RETURN_IF_ERROR(CheckHeaderLength(path_, header_bytes, file_bytes));

  std::string header(header_bytes, '\0');
  ATTNRL_RETURN_IF_ERROR(ReadBytes(kHeaderLengthBytes, header.data(), header.size()));
  data_begin_ = kHeaderLengthBytes + header_bytes;
  ATTNRL_ASSIGN_OR_RETURN(tensors_,
                          ParseSafetensorsHeader(path_, header, file_bytes - data_begin_));
  return absl::OkStatus();
}

absl::Status SafetensorsFile::ReadBytes(uint64_t offset, void* target, uint64_t bytes) const {
  auto* next = static_cast<char*>(target);
  while (bytes > 0) {
    const ssize_t got = ::pread(descriptor_, next, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::InternalError(absl::StrCat(path_, ": ", std::strerror(errno)));
    if (got == 0) return InputError(path_, "it became shorter while it was read", kAllowed);
    next += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> SafetensorsFile::Read(const TensorInfo& info) const {
  for (const auto& [name, type] : kTypes) {
    if (name != info.dtype) continue;
    at::Tensor tensor;
    try {
      tensor = at::empty(info.shape, at::TensorOptions(type));
    } catch (const std::exception&) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path_, ": no memory for tensor ", info.name));
    }
    ATTNRL_RETURN_IF_ERROR(
        ReadBytes(data_begin_ + info.begin, tensor.mutable_data_ptr(), info.end - info.begin));
    return tensor;
  }
  return InputError(path_, absl::StrCat("tensor ", OneLine(info.name, 120), " is ", info.dtype),
                    "F32 and BF16 are supported");
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
          absl::StrCat(path, ": tensor ", name, " has a dtype that is not written"));
    }
    const uint64_t end = bytes + tensor.nbytes();
    header[name] = {
        {"dtype", dtype}, {"shape", tensor.sizes().vec()}, {"data_offsets", {bytes, end}}};
    bytes = end;
  }
  std::string text = header.dump();
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
