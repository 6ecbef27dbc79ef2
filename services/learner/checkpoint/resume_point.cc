// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/resume_point.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/notice.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

// A checkpoint that was set aside may hold bits that lie nowhere else, and that training from here
// need not make again to the bit.
absl::Status Salvage(uint32_t after, const CheckpointStore& checkpoints, VersionStore& versions) {
  const std::optional<Version> newest = versions.Newest();
  for (uint32_t number = after + 1; newest.has_value() && number <= newest->number; ++number) {
    const std::optional<std::string> digest = versions.DigestOf(number);
    if (!digest.has_value() || versions.Holds(number)) continue;
    absl::StatusOr<VersionData> data = ReadVersionFile(checkpoints.SetAsideModelFile(number));
    if (!data.ok() || data->version.digest != *digest) continue;  // none, or damaged itself
    data->version.number = number;
    ATTNRL_RETURN_IF_ERROR(versions.Publish(std::make_shared<const VersionData>(*std::move(data))));
    observe::LogWarning("took a version from a damaged checkpoint", {{"version", number}});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<CheckpointInfo>> FindResumePoint(CheckpointStore& checkpoints,
                                                              VersionStore& versions) {
  const absl::StatusOr<CheckpointInfo> found = checkpoints.FindIntact();
  if (absl::IsNotFound(found.status())) {
    // Only a run without trained versions begins anew, also one that died before its first
    // checkpoint was complete: one that has lost its checkpoints would publish other bits under
    // numbers that workers know.
    const std::optional<Version> newest = versions.Newest();
    if (newest.has_value() && newest->number > 0) return checkpoints.NoneIntact();
    return std::nullopt;
  }
  ATTNRL_RETURN_IF_ERROR(found.status());
  // Older ones too: a worker may still need their versions, which lie nowhere else.
  for (uint32_t step : checkpoints.steps()) {
    const auto info = checkpoints.Info(step);
    const auto known = versions.DigestOf(step);
    absl::Status damage = info.status();
    if (info.ok() && known.value_or(info->digest) != info->digest) {
      damage = absl::DataLossError(absl::StrCat(checkpoints.Folder(step), ": says digest ",
                                                info->digest, ", was published with ", *known));
    }
    if (step == found->step && !damage.ok()) {
      return InputError(
          checkpoints.Folder(step), "is of other weights than this run had then",
          absl::StrCat("a copy of this run's own, with digest ", known.value_or(found->digest)));
    }
    if (!damage.ok()) {  // an older one may be damaged: only its version can't be served
      observe::Notify("a damaged checkpoint is ignored",
                      {{"step", step}, {"reason", std::string(damage.message())}});
      continue;
    }
    ATTNRL_RETURN_IF_ERROR(versions.Adopt({step, info->digest}, checkpoints.ModelFile(step)));
  }
  ATTNRL_RETURN_IF_ERROR(Salvage(found->step, checkpoints, versions));
  return *found;
}

}  // namespace attnrl::learner
