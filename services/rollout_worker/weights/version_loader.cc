// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/weights/version_loader.h"

#include <ATen/ATen.h>

#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/device/gpus.h"
#include "common/device/side_stream.h"

namespace attnrl::rollout {
namespace {

absl::Status Damaged(const learner::VersionData& data, const std::string& what) {
  return absl::DataLossError(absl::StrCat("W(", data.version.number, "): ", what));
}

// A copy of one tensor's bytes with its type and shape.
absl::StatusOr<at::Tensor> MakeTensor(const learner::VersionData& data,
                                      const learner::TensorEntry& entry, model::DType dtype) {
  const char* word = dtype == model::DType::kBFloat16 ? "BF16" : "F32";
  if (entry.dtype != word) {
    return Damaged(data,
                   absl::StrCat(entry.name, " is ", entry.dtype, "; this worker runs ", word));
  }
  at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(model::ToScalarType(dtype)));
  const std::string_view bytes = data.Bytes(entry);
  if (bytes.size() != tensor.nbytes()) {
    return Damaged(data, absl::StrCat(entry.name, " has ", bytes.size(), " bytes instead of ",
                                      tensor.nbytes()));
  }
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

absl::StatusOr<model::Tensors> MakeTensors(const learner::VersionData& data,
                                           const model::ModelConfig& config, model::DType dtype) {
  std::map<std::string, std::vector<int64_t>> shapes = model::TensorShapes(config);
  model::Tensors tensors;
  for (const learner::TensorEntry& entry : data.tensors) {
    const auto expected = shapes.find(entry.name);
    if (expected == shapes.end()) return Damaged(data, absl::StrCat("unexpected ", entry.name));
    if (expected->second != entry.shape) {
      return Damaged(data,
                     absl::StrCat(entry.name, " has shape [", absl::StrJoin(entry.shape, ","),
                                  "] instead of [", absl::StrJoin(expected->second, ","), "]"));
    }
    shapes.erase(expected);
    absl::StatusOr<at::Tensor> tensor = MakeTensor(data, entry, dtype);
    if (!tensor.ok()) return tensor.status();
    tensors[entry.name] = *std::move(tensor);
  }
  if (!shapes.empty()) return Damaged(data, absl::StrCat(shapes.begin()->first, " is missing"));
  return tensors;
}

absl::StatusOr<Weights> LoadVersion(const learner::VersionData& data,
                                    const model::ModelConfig& config, const RunnerOptions& options,
                                    device::SideStream& side) {
  absl::StatusOr<model::Tensors> tensors = MakeTensors(data, config, options.dtype);
  if (!tensors.ok()) return tensors.status();
  const std::string digest = model::Digest(*tensors);
  if (digest != data.version.digest) {
    return Damaged(data, absl::StrCat("digest ", digest, " instead of ", data.version.digest));
  }
  // Beside the steps that run meanwhile; nobody sees the model before it is there.
  absl::StatusOr<Weights> model = absl::InternalError("not made");
  side.Run([&] {
    for (auto& [name, tensor] : *tensors) tensor = side.Bring(tensor);
    model = MakeModel(config, *std::move(tensors), options.deterministic);
  });
  return model;
}

absl::StatusOr<Weights> TryToLoad(const learner::VersionData& data,
                                  const model::ModelConfig& config, const RunnerOptions& options,
                                  device::SideStream& side) {
  std::string reason;
  try {
    absl::StatusOr<Weights> loaded = LoadVersion(data, config, options, side);
    if (!absl::IsInternal(loaded.status())) return loaded;
    reason = std::string(loaded.status().message());
  } catch (const std::exception& error) {  // LibTorch's, when memory is used up
    reason = OneLine(error.what());
  }
  // Memory may be there later, a GPU's context won't.
  const std::string fault =
      options.device.is_cuda() ? device::GpuFault(options.device.index()) : std::string();
  if (!fault.empty()) return absl::InternalError(absl::StrCat(options.device.str(), ": ", fault));
  return absl::ResourceExhaustedError(
      absl::StrCat("W(", data.version.number, ") can't be loaded: ", reason));
}

}  // namespace

WeightLoader MakeVersionLoader(const model::ModelConfig& config, const RunnerOptions& options) {
  const auto side = std::make_shared<device::SideStream>(options.device);
  return [config, options, side](const learner::VersionData& data) {
    return TryToLoad(data, config, options, *side);
  };
}

}  // namespace attnrl::rollout
