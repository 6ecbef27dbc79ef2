// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learner/train/trainer.h"

namespace attnrl::learner {

// The files of a checkpoint, by path in its folder (services/learner/checkpoint/README.md,
// "Format").
inline constexpr char kModelFile[] = "model.safetensors";
inline constexpr char kTrainerFolder[] = "trainer";
inline constexpr char kStateJson[] = "trainer/state.json";
// The file of a part of the trainer's state.
constexpr const char* StateFile(StateTensor which) {
  switch (which) {
    case StateTensor::kFirstMoment:
      return "trainer/first_moment.safetensors";
    case StateTensor::kSecondMoment:
      return "trainer/second_moment.safetensors";
    case StateTensor::kMasters:
      break;
  }
  return "trainer/masters.safetensors";
}

// Writes the manifest of all files that `folder` has. `digests`: SHA-256 of some of them, which
// aren't read.
absl::Status WriteManifest(const std::string& folder, std::map<std::string, std::string> digests);

// OK where every file that loading needs is listed and every file listed has its SHA-256.
// DATA_LOSS or NOT_FOUND names the first that isn't so; other codes: it can't be read now. Memory:
// a block.
absl::Status CheckFiles(const std::string& folder);

}  // namespace attnrl::learner
