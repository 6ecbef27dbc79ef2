// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/model/files/json_file.h"
#include "common/model/files/safetensors.h"
#include "common/model/files/weights_digest.h"

namespace attnrl::model {
namespace {

constexpr char kSingle[] = "/model.safetensors";
constexpr char kIndex[] = "/model.safetensors.index.json";

// A file of weights, and the tensors that the index expects in it (nullopt: whatever it holds).
struct Shard {
  std::string path;
  std::optional<std::vector<std::string>> names;
};

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<std::vector<Shard>> ReadIndex(const std::string& dir) {
  ATTNRL_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Read(dir + kIndex));
  const nlohmann::json* map = file.Find("weight_map");
  if (map == nullptr || !map->is_object()) {
    return file.Error("weight_map", "is missing", "an object from tensor to file name is needed");
  }
  std::map<std::string, std::vector<std::string>> names;
  for (const auto& [tensor, value] : map->items()) {
    const std::string shard = value.is_string() ? value.get<std::string>() : "";
    // A name in this folder, not a path that leads out of it.
    if (shard.empty() || shard.front() == '.' || shard.find('/') != std::string::npos) {
      return file.Error("weight_map",
                        absl::StrCat("has no file name for tensor ", OneLine(tensor, 120)),
                        "the name of a file in the same folder is needed");
    }
    names[shard].push_back(tensor);
  }
  std::vector<Shard> shards;
  for (auto& [shard, tensors] : names) {
    shards.push_back({absl::StrCat(dir, "/", shard), std::move(tensors)});
  }
  return shards;
}

absl::StatusOr<std::vector<Shard>> FindShards(const std::string& dir) {
  if (std::filesystem::exists(dir + kSingle)) return std::vector<Shard>{{dir + kSingle, {}}};
  if (std::filesystem::exists(dir + kIndex)) return ReadIndex(dir);
  return InputError(dir, "no weights",
                    "model.safetensors or model.safetensors.index.json is needed");
}

// What older files hold although no model needs it.
bool IsIgnored(const std::string& name, const ModelConfig& config) {
  if (name == "lm_head.weight") return config.tie_word_embeddings;
  return name.ends_with(".rotary_emb.inv_freq");
}

absl::Status CheckTensor(const std::string& path, const TensorInfo& info,
                         const std::vector<int64_t>& shape, bool dtype_is_given) {
  const std::string tensor = absl::StrCat("tensor ", info.name);
  if (info.shape != shape) {
    return InputError(path, absl::StrCat(tensor, " has shape ", ShapeText(info.shape)),
                      absl::StrCat("config.json asks for ", ShapeText(shape)));
  }
  if (info.dtype == "F16" && !dtype_is_given) {
    return InputError(path, absl::StrCat(tensor, " has dtype F16"),
                      "an explicit --dtype (model.dtype) of float32 or bfloat16 converts it");
  }
  if (info.dtype != "F32" && info.dtype != "BF16" && info.dtype != "F16") {
    return InputError(path, absl::StrCat(tensor, " has dtype ", info.dtype),
                      "allowed are F32, BF16, and F16 with an explicit --dtype (model.dtype)");
  }
  return absl::OkStatus();
}

absl::Status CheckShard(const Shard& shard, const SafetensorsFile& file) {
  if (!shard.names.has_value()) return absl::OkStatus();
  std::map<std::string, bool> present;
  for (const TensorInfo& info : file.tensors()) present[info.name] = true;
  for (const std::string& name : *shard.names) {
    if (present.contains(name)) continue;
    return InputError(shard.path, absl::StrCat("tensor ", OneLine(name, 120), " is missing"),
                      "model.safetensors.index.json names this file for it");
  }
  return absl::OkStatus();
}

// A model folder is what the user gave us: so is a file in it that can't be opened.
absl::StatusOr<SafetensorsFile> OpenShard(const std::string& path) {
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (file.ok() || IsInputError(file.status())) return file;
  return InputError(path,
                    absl::IsNotFound(file.status())
                        ? "no such file"
                        : absl::StrCat("can't be read: ", std::string(file.status().message())),
                    "a safetensors file is needed");
}

// Standard normal from 64 random bits (Box and Muller, 1958).
double Normal(uint64_t bits) {
  const double radius = std::sqrt(-2 * std::log((static_cast<double>(bits >> 32) + 1) * 0x1p-32));
  return radius * std::cos(2 * std::numbers::pi * static_cast<double>(bits & 0xffffffff) * 0x1p-32);
}

}  // namespace

at::ScalarType ToScalarType(DType dtype) {
  return dtype == DType::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

bool HasWeights(const std::string& dir) {
  return std::filesystem::exists(dir + kSingle) || std::filesystem::exists(dir + kIndex);
}

absl::StatusOr<WeightFiles> WeightFiles::Open(const std::string& dir, const ModelConfig& config) {
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<Shard> shards, FindShards(dir));
  const auto shapes = TensorShapes(config);
  WeightFiles weights;
  for (const Shard& shard : shards) {
    ATTNRL_ASSIGN_OR_RETURN(SafetensorsFile file, OpenShard(shard.path));
    ATTNRL_RETURN_IF_ERROR(CheckShard(shard, file));
    for (const TensorInfo& info : file.tensors()) {
      if (IsIgnored(info.name, config)) continue;
      const auto expected = shapes.find(info.name);
      if (expected == shapes.end()) {
        return InputError(shard.path,
                          absl::StrCat("tensor ", OneLine(info.name, 120), " is unknown"),
                          "only the tensors of config.json's architecture are allowed");
      }
      ATTNRL_RETURN_IF_ERROR(
          CheckTensor(shard.path, info, expected->second, config.dtype_is_given));
      if (!weights.places_.emplace(info.name, Place{weights.files_.size(), info}).second) {
        return InputError(shard.path, absl::StrCat("tensor ", info.name, " is in another file too"),
                          "each tensor must be in one file only");
      }
    }
    weights.files_.push_back(std::move(file));
  }
  for (const auto& [name, shape] : shapes) {
    if (weights.places_.contains(name)) continue;
    return InputError(shards.size() == 1 ? shards.front().path : dir + kIndex,
                      absl::StrCat("tensor ", name, " is missing"),
                      absl::StrCat("config.json asks for it with shape ", ShapeText(shape)));
  }
  return weights;
}

absl::StatusOr<at::Tensor> WeightFiles::Read(const std::string& name) const {
  const Place& place = places_.at(name);
  ATTNRL_ASSIGN_OR_RETURN(at::Tensor tensor, ReadTensor(files_[place.file], place.info));
  return place.info.dtype == "F16" ? tensor.to(at::kFloat) : tensor;
}

bool WeightFiles::MorePreciseThan(DType dtype) const {
  return dtype == DType::kBFloat16 &&
         std::any_of(places_.begin(), places_.end(),
                     [](const auto& place) { return place.second.info.dtype != "BF16"; });
}

absl::StatusOr<Tensors> LoadTensors(const std::string& dir, const ModelConfig& config,
                                    std::optional<DType> dtype, at::Device device) {
  ATTNRL_ASSIGN_OR_RETURN(const WeightFiles files, WeightFiles::Open(dir, config));
  Tensors tensors;
  try {
    for (const auto& [name, shape] : TensorShapes(config)) {
      ATTNRL_ASSIGN_OR_RETURN(const at::Tensor tensor, files.Read(name));
      tensors[name] =
          tensor.to(device, dtype.has_value() ? ToScalarType(*dtype) : tensor.scalar_type());
    }
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat(dir, ": not enough memory for the weights: ", OneLine(error.what())));
  }
  return tensors;
}

Tensors RandomTensors(const ModelConfig& config, uint64_t seed, DType dtype) {
  Tensors tensors;
  RandomKey key{.seed = seed, .purpose = kInitWeights};
  for (const auto& [name, shape] : TensorShapes(config)) {
    at::Tensor tensor = at::zeros(shape, at::TensorOptions(at::kFloat));
    if (shape.size() == 2) {
      auto* values = tensor.mutable_data_ptr<float>();
      for (int64_t i = 0; i < tensor.numel(); ++i) {
        values[i] = static_cast<float>(config.initializer_range *
                                       Normal(RandomBits(key, static_cast<uint32_t>(i))));
      }
    } else if (!name.ends_with(".bias")) {
      tensor.fill_(1);
    }
    ++key.position;
    tensors[name] = tensor.to(ToScalarType(dtype));
  }
  return tensors;
}

std::string Digest(const Tensors& tensors) {
  WeightsDigest digest;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    digest.Add(name, SafetensorsDType(plain.scalar_type()), plain.sizes(),
               {static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()});
  }
  return digest.Hex();
}

}  // namespace attnrl::model
