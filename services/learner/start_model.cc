// SPDX-License-Identifier: Apache-2.0
#include "services/learner/start_model.h"

#include <ATen/ATen.h>

#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/observe/notice.h"
#include "services/learner/options.h"
#include "services/learner/train/library_error.h"

namespace attnrl::learner {
namespace {

absl::StatusOr<StartModel> LoadShape(const config::Config& config, const std::string& folder) {
  StartModel start{.folder = folder};
  ATTNRL_ASSIGN_OR_RETURN(start.shape,
                          model::LoadModelConfig(folder, config.model.dtype != "auto"));
  ATTNRL_ASSIGN_OR_RETURN(start.dtype, ComputeDTypeOf(config, start.shape.dtype));
  return start;
}

absl::StatusOr<StartModel> Load(const config::Config& config, const std::string& folder) {
  ATTNRL_ASSIGN_OR_RETURN(StartModel start, LoadShape(config, folder));
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device,
                          device::ParseDevice(config.learner.device, "learner.device"));
  ATTNRL_ASSIGN_OR_RETURN(start.tensors,
                          model::LoadTensors(folder, start.shape, start.dtype, device));
  return start;
}

// InputError on a rank that would train otherwise than rank 0, naming the first key that differs.
absl::Status CompareSettings(const config::Config& config, RankGroup& group) {
  const std::map<std::string, std::string> own = SettingsOfAllRanks(config);
  const std::string text =
      BroadcastBytes(group, absl::StrJoin(own, "\n", absl::PairFormatter("=")));
  std::map<std::string, std::string> zero;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    zero.insert(absl::StrSplit(line, absl::MaxSplits('=', 1)));
  }
  // Of two builds one may not know a key of the other.
  const auto value = [](const auto& settings, const std::string& key) {
    const auto found = settings.find(key);
    return found == settings.end() ? "not set" : found->second;
  };
  std::map<std::string, std::string> all = own;
  all.insert(zero.begin(), zero.end());
  for (const auto& [key, unused] : all) {
    if (value(own, key) == value(zero, key)) continue;
    return InputError(key,
                      absl::StrCat("is ", value(own, key), " on rank ", group.rank(), " and ",
                                   value(zero, key), " on rank 0"),
                      "the same on every rank");
  }
  return absl::OkStatus();
}

// Everything that ranks compute by but settings and weights, for comparison.
std::string Describe(const StartModel& start) {
  const model::ModelConfig& shape = start.shape;
  const model::RopeScaling& rope = shape.rope_scaling;
  std::string text = absl::StrCat(
      std::string(model::DTypeName(start.dtype)), " ", static_cast<int>(shape.architecture), " ",
      shape.heads, " ", shape.kv_heads, " ", shape.head_dim, " ", shape.rms_norm_eps, " ",
      shape.rope_theta, " ", static_cast<int>(rope.kind), " ", rope.factor, " ",
      rope.original_positions, " ", rope.low_frequency_factor, " ", rope.high_frequency_factor);
  absl::StrAppend(&text, " ", rope.beta_fast, " ", rope.beta_slow, " ", rope.truncate, " ",
                  rope.attention_factor);
  for (const auto& [name, sizes] : model::TensorShapes(shape)) {
    absl::StrAppend(&text, " ", name, " ", absl::StrJoin(sizes, "x"));
  }
  return text;
}

// What can't be read for want of memory, or by a disk's or a mount's fault, may be readable later.
bool IsLasting(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status) || IsInputError(status);
}

}  // namespace

absl::StatusOr<StartModel> LoadStartModel(const config::Config& config,
                                          const CheckpointStore& checkpoints,
                                          const std::optional<std::string>& published) {
  const std::vector<uint32_t>& steps = checkpoints.steps();
  if (steps.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(StartModel start, Load(config, config.model.path));
    start.first = true;
    return start;
  }
  // Where somebody has removed it both say so.
  const absl::StatusOr<CheckpointInfo> info = checkpoints.Info(0);
  absl::StatusOr<StartModel> stored = Load(config, checkpoints.Folder(0));
  const std::string wanted = published.value_or(info.ok() ? info->digest : "");
  if (stored.ok() && model::Digest(stored->tensors) == wanted) return stored;
  absl::Status damage = info.ok() ? stored.status() : info.status();
  if (damage.ok()) damage = absl::DataLossError(checkpoints.ModelFile(0) + ": is damaged");
  // There would be no more for model.path.
  if (absl::IsResourceExhausted(damage)) return damage;
  stored = damage;  // which frees the weights, if there are any

  absl::StatusOr<StartModel> other = Load(config, config.model.path);
  const bool same = other.ok() && model::Digest(other->tensors) == wanted;
  // A checkpoint of adapters has the weights that they belong to nowhere.
  const bool needed = config.learner.kl_weight != 0 || config.learner.lora.rank > 0;
  const bool only_shape = other.ok() && !needed && steps.back() > 0;
  if (same || only_shape) {
    observe::Notify("the run's first checkpoint is damaged; reading model.path instead",
                    {{"reason", std::string(damage.message())}, {"same_weights", same}});
    return other;
  }
  if (!IsLasting(damage)) return damage;
  if (!other.ok() && !IsLasting(other.status())) return other;
  return absl::InvalidArgumentError(absl::StrCat(
      std::string(damage.message()), "; the run began with these weights and ",
      !needed                         ? "has no later checkpoint"
      : config.learner.kl_weight != 0 ? "its KL term needs them"
                                      : "its adapters are trained on them",
      ", and model.path (", config.model.path, ") ",
      other.ok() ? "has different ones"
                 : absl::StrCat("can't be read: ", std::string(other.status().message())),
      ": put the starting model of the run there"));
}

absl::StatusOr<StartModel> ShareStartModel(const config::Config& config, RankGroup& group,
                                           StartModel start) {
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device,
                          device::ParseDevice(config.learner.device, "learner.device"));
  const bool leads = group.rank() == 0;
  try {
    // First of all: what ranks send each other later depends on them.
    ATTNRL_RETURN_IF_ERROR(CompareSettings(config, group));
    if (!leads) {
      ATTNRL_ASSIGN_OR_RETURN(start, LoadShape(config, config.model.path));
    }
    const std::string own = Describe(start);
    if (BroadcastBytes(group, own) != own) {
      return InputError("model.path", absl::StrCat(start.folder, " is another model than rank 0's"),
                        "the model that the run began with, on every rank");
    }
    const auto options = at::TensorOptions(model::ToScalarType(start.dtype)).device(device);
    for (const auto& [name, shape] : model::TensorShapes(start.shape)) {
      if (!leads) start.tensors[name] = at::empty(shape, options);
      Broadcast(group, start.tensors[name].contiguous());
    }
  } catch (const std::exception& error) {
    return LibraryError("sharing the start model", error);
  }
  return start;
}

absl::Status RefineMasters(const StartModel& start, Trainer& trainer) {
  if (!start.first || trainer.parameters().adapted()) return absl::OkStatus();
  ATTNRL_ASSIGN_OR_RETURN(const auto files, model::WeightFiles::Open(start.folder, start.shape));
  if (!files.MorePreciseThan(start.dtype)) return absl::OkStatus();
  ATTNRL_RETURN_IF_ERROR(trainer.Assign(StateTensor::kMasters, model::TensorShapes(start.shape),
                                        [&](const std::string& name) { return files.Read(name); }));
  return trainer.Resume({});
}

}  // namespace attnrl::learner
