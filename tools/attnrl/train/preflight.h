// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "tools/attnrl/train/data_check.h"
#include "tools/attnrl/train/estimate/device_estimate.h"
#include "tools/attnrl/train/estimate/disk_estimate.h"
#include "tools/attnrl/train/estimate/memory_estimate.h"

namespace attnrl::tools {

// What the checks found, for people.
struct PreflightReport {
  std::string model;  // "Qwen2, 0.65 M weights, float32"
  DataReport data;
  MemoryEstimate memory;
  DiskEstimate disk;
  int gpus = 0;                       // of this machine, where the run computes on any
  std::string steps;                  // "about 4 optimizer steps a batch of about 5 problems each"
  std::vector<std::string> warnings;  // of settings without effect, one line each
};

// Everything that can be wrong before a run starts, with nothing written and nothing started: the
// services' binaries, the model folder (files, shapes, damage, values that are not finite,
// tokenizer, chat template), every record of the data sets (form, answers, prompt within
// rollout.max_prompt_tokens), devices, and memory. `binary_folder` holds the services. Errors:
// InputError naming file and line or key; what the configuration lacks is said of `file`, where it
// was read.
absl::StatusOr<PreflightReport> CheckBeforeTraining(const config::Config& config,
                                                    const std::string& binary_folder,
                                                    const std::string& file = "");

// What is known of a run from its configuration and the model's config.json.
struct PlanReport {
  std::string model;
  std::vector<DeviceEstimate> devices;
  DiskEstimate disk;
  std::string steps;
  std::vector<std::string> warnings;
};

// The part of the check that needs shapes alone: no binaries, weights, data or devices. Every
// worker and every rank of the learner has a device of `device_bytes` (0: not known) to itself.
// Errors: InputError naming file or key, also of what wouldn't fit; a model that the configuration
// lacks is said of `file`.
absl::StatusOr<PlanReport> PlanByShapes(const config::Config& config, int64_t device_bytes,
                                        const std::string& file = "");

// One line on stderr for each ATTNRL_ variable of the environment that names no key of the
// configuration (a typo is likely) and isn't one of the scripts'.
void WarnOfIgnoredVariables(const config::Config& config);
// The same for each warning of the report and for a disk of `folder` that may be too small, too. To
// be called where nothing is wrong: an error is one line.
void PrintWarnings(const config::Config& config, const PreflightReport& report,
                   const std::string& folder);

}  // namespace attnrl::tools
