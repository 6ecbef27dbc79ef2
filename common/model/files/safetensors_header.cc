// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/safetensors_header.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"

namespace attnrl::model {
namespace {

using nlohmann::json;

constexpr size_t kMaxTensors = 100'000;
constexpr size_t kMaxRank = 8;
constexpr int kMaxDepth = 4;
constexpr char kMetadata[] = "__metadata__";

constexpr std::array<std::pair<std::string_view, uint64_t>, 15> kDTypes = {{{"BOOL", 1},
                                                                            {"U8", 1},
                                                                            {"I8", 1},
                                                                            {"F8_E4M3", 1},
                                                                            {"F8_E5M2", 1},
                                                                            {"I16", 2},
                                                                            {"U16", 2},
                                                                            {"F16", 2},
                                                                            {"BF16", 2},
                                                                            {"I32", 4},
                                                                            {"U32", 4},
                                                                            {"F32", 4},
                                                                            {"I64", 8},
                                                                            {"U64", 8},
                                                                            {"F64", 8}}};

// Bytes of one element; 0 for what is no dtype of the format.
uint64_t DTypeBytes(std::string_view dtype) {
  for (const auto& [name, bytes] : kDTypes) {
    if (name == dtype) return bytes;
  }
  return 0;
}

absl::Status Damaged(const std::string& path, std::string_view what) {
  return InputError(path, what, "an intact safetensors file is needed");
}

absl::Status DamagedTensor(const std::string& path, const std::string& name,
                           std::string_view what) {
  return Damaged(path, absl::StrCat("tensor ", OneLine(name, 120), " ", std::string(what)));
}

// A first walk over the header, which stops at what no header has: nesting, too many tensors, a key
// twice (nlohmann would keep the last, another reader the first). Linear in the header's size.
class HeaderWalk final : public nlohmann::json_sax<json> {
 public:
  std::string complaint;  // empty where nothing was found, be it because the header is no JSON

  bool key(std::string& name) override {
    if (!open_.back().insert(name).second) {
      return Stop(absl::StrCat("its header has two keys \"", OneLine(name, 120), "\""));
    }
    if (open_.size() > 1 || open_.back().size() <= kMaxTensors) return true;
    return Stop(absl::StrCat("its header names more than ", kMaxTensors, " tensors"));
  }
  bool start_object(size_t /*size*/) override {
    open_.emplace_back();
    return Deeper();
  }
  bool end_object() override {
    open_.pop_back();
    return Shallower();
  }
  bool start_array(size_t /*size*/) override { return Deeper(); }
  bool end_array() override { return Shallower(); }

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(int64_t /*value*/) override { return true; }
  bool number_unsigned(uint64_t /*value*/) override { return true; }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
  bool string(std::string& /*value*/) override { return true; }
  bool binary(json::binary_t& /*value*/) override { return true; }
  bool parse_error(size_t /*position*/, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return false;
  }

 private:
  bool Deeper() { return ++depth_ <= kMaxDepth || Stop("its header is nested too deeply"); }
  bool Shallower() {
    --depth_;
    return true;
  }
  bool Stop(std::string what) {
    complaint = std::move(what);
    return false;
  }

  int depth_ = 0;
  std::vector<std::set<std::string>> open_;  // keys of the objects around the current place
};

absl::StatusOr<json> ReadHeader(const std::string& path, std::string_view header) {
  if (header.empty() || header.front() != '{') return Damaged(path, "its header is no JSON object");
  HeaderWalk walk;
  const bool sound = WalkJson(header, &walk);
  if (!walk.complaint.empty()) return Damaged(path, walk.complaint);
  if (!sound) return Damaged(path, "its header is no JSON object in UTF-8");
  return ParseJson(header);
}

// A whole number that fits int64, without trusting its type.
std::optional<uint64_t> WholeNumber(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<uint64_t>();
  if (number > INT64_MAX) return std::nullopt;
  return number;
}

absl::Status ReadShape(const std::string& path, const json& entry, TensorInfo* info,
                       uint64_t* bytes) {
  const auto shape = entry.find("shape");
  if (shape == entry.end() || !shape->is_array()) {
    return DamagedTensor(path, info->name, "has no shape");
  }
  if (shape->size() > kMaxRank) {
    return DamagedTensor(path, info->name, absl::StrCat("has more than ", kMaxRank, " dimensions"));
  }
  *bytes = DTypeBytes(info->dtype);
  bool empty = false;
  for (const json& dimension : *shape) {
    const std::optional<uint64_t> size = WholeNumber(dimension);
    if (!size.has_value()) {
      return DamagedTensor(path, info->name, "has a dimension that is no size");
    }
    info->shape.push_back(static_cast<int64_t>(*size));
    empty = empty || *size == 0;
    if (*size != 0 && __builtin_mul_overflow(*bytes, *size, bytes)) {
      return DamagedTensor(path, info->name, "has a size that overflows");
    }
  }
  if (empty) *bytes = 0;
  return absl::OkStatus();
}

absl::StatusOr<TensorInfo> ReadEntry(const std::string& path, const std::string& name,
                                     const json& entry, uint64_t data_bytes) {
  TensorInfo info;
  info.name = name;
  if (!entry.is_object()) return DamagedTensor(path, name, "has no description");
  const auto dtype = entry.find("dtype");
  if (dtype == entry.end() || !dtype->is_string() ||
      DTypeBytes(dtype->get_ref<const std::string&>()) == 0) {
    return DamagedTensor(path, name, "has no dtype of the format");
  }
  info.dtype = dtype->get<std::string>();
  uint64_t bytes = 0;
  ATTNRL_RETURN_IF_ERROR(ReadShape(path, entry, &info, &bytes));

  const auto offsets = entry.find("data_offsets");
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2) {
    return DamagedTensor(path, name, "has no data_offsets");
  }
  const std::optional<uint64_t> begin = WholeNumber((*offsets)[0]);
  const std::optional<uint64_t> end = WholeNumber((*offsets)[1]);
  if (!begin.has_value() || !end.has_value() || *begin > *end || *end > data_bytes) {
    return DamagedTensor(path, name, "lies outside the file");
  }
  if (*end - *begin != bytes) {
    return DamagedTensor(
        path, name,
        absl::StrCat("has ", *end - *begin, " bytes where its shape and dtype have ", bytes));
  }
  info.begin = *begin;
  info.end = *end;
  return info;
}

absl::Status CheckCoverage(const std::string& path, const std::vector<TensorInfo>& infos,
                           uint64_t data_bytes) {
  uint64_t next = 0;
  for (const TensorInfo& info : infos) {
    if (info.begin != next) {
      return DamagedTensor(path, info.name,
                           info.begin < next ? "overlaps another one" : "comes after a hole");
    }
    next = info.end;
  }
  if (next == data_bytes) return absl::OkStatus();
  return Damaged(path, absl::StrCat(data_bytes, " bytes of data where its tensors have ", next));
}

}  // namespace

absl::Status CheckHeaderLength(const std::string& path, uint64_t header_bytes,
                               uint64_t file_bytes) {
  if (file_bytes < kHeaderLengthBytes) {
    return Damaged(path, absl::StrCat("it has only ", file_bytes, " bytes"));
  }
  if (header_bytes > file_bytes - kHeaderLengthBytes) {
    return Damaged(path, absl::StrCat("its header of ", header_bytes,
                                      " bytes is longer than the file of ", file_bytes));
  }
  if (header_bytes > kMaxHeaderBytes) {
    return Damaged(
        path, absl::StrCat("its header has ", header_bytes, " bytes, more than ", kMaxHeaderBytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TensorInfo>> ParseSafetensorsHeader(const std::string& path,
                                                               std::string_view header,
                                                               uint64_t data_bytes) {
  ATTNRL_ASSIGN_OR_RETURN(const json entries, ReadHeader(path, header));
  std::vector<TensorInfo> infos;
  for (const auto& [name, entry] : entries.items()) {
    if (name == kMetadata) continue;
    ATTNRL_ASSIGN_OR_RETURN(TensorInfo info, ReadEntry(path, name, entry, data_bytes));
    infos.push_back(std::move(info));
  }
  std::sort(infos.begin(), infos.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  ATTNRL_RETURN_IF_ERROR(CheckCoverage(path, infos, data_bytes));
  return infos;
}

}  // namespace attnrl::model
