// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/files/config.h"
#include "common/model/files/safetensors_file.h"
#include "common/storage/digest.h"

namespace attnrl::model {

// The tensors of a model by their Hugging Face names, in the byte order of the names.
using Tensors = std::map<std::string, at::Tensor>;

at::ScalarType ToScalarType(DType dtype);

// True when `dir` holds weights (model.safetensors or model.safetensors.index.json).
bool HasWeights(const std::string& dir);

// The weights of a folder, single or sharded, for reading one tensor after the other.
class WeightFiles {
 public:
  // InputError by file and tensor for what is damaged, missing, unexpected, or of another shape or
  // type than `config` says; float16 is allowed only where `config.dtype_is_given`.
  static absl::StatusOr<WeightFiles> Open(const std::string& dir, const ModelConfig& config);

  // On the CPU, as precise as it is stored, float16 as float32. `name` is one of
  // TensorShapes(config). Thread-safe. Throws where there is no memory for the conversion.
  absl::StatusOr<at::Tensor> Read(const std::string& name) const;
  // Whether any of them would be rounded.
  bool MorePreciseThan(DType dtype) const;

 private:
  struct Place {
    size_t file;
    TensorInfo info;
  };

  std::vector<SafetensorsFile> files_;
  std::map<std::string, Place> places_;  // by tensor
};

// Reads all tensors of `dir`, converted to `dtype` on `device` (nullopt: each as
// precise as WeightFiles reads it). The errors of WeightFiles::Open.
absl::StatusOr<Tensors> LoadTensors(const std::string& dir, const ModelConfig& config,
                                    std::optional<DType> dtype, at::Device device);

// New weights on the CPU: matrices normal with config.initializer_range, biases 0, norms 1. A pure
// function of its arguments.
Tensors RandomTensors(const ModelConfig& config, uint64_t seed, DType dtype);

// The digest that names a version, as WeightsDigest defines it.
std::string Digest(const Tensors& tensors);

// Writes one safetensors file; it appears complete by rename. Tensors of any device; float32,
// bfloat16, float16, float64, int64 or uint8. kResourceExhausted when the disk is full. `digest`
// (may be null) sees every byte of the file.
absl::Status WriteSafetensors(const std::string& path, const Tensors& tensors,
                              const std::map<std::string, std::string>& metadata,
                              storage::Sha256* digest = nullptr);

// Writes a Hugging Face folder that `transformers` loads: model.safetensors of `tensors`, and from
// `source_dir` config.json (dtype set to that of the tensors), generation_config.json, the
// tokenizer's files and the chat template, where they exist. The folder appears complete by rename;
// one that exists is an error (kAlreadyExists). Returns the SHA-256 of model.safetensors.
absl::StatusOr<std::string> WriteModelFolder(const std::string& dir, const std::string& source_dir,
                                             const Tensors& tensors);

}  // namespace attnrl::model
