// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "tools/attnrl/train/estimate/memory_estimate.h"

namespace attnrl::tools {

// "80GiB", "80 GB", "512MiB" or a number of bytes; InputError on `where`.
absl::StatusOr<int64_t> ParseSize(std::string_view text, std::string_view where);

// What the workers and the learner of a run keep on devices of `device_bytes` bytes, one for each
// process (0: not known, nothing is refused). Roles that compute on the cpu are left out.
// InputError by the key that would have to change where a process doesn't fit.
absl::StatusOr<std::vector<DeviceEstimate>> EstimateDevices(const config::Config& config,
                                                            const RunShape& shape,
                                                            int64_t device_bytes);

// Whether the processes of `devices` fit into GPUs of `gpu_bytes` bytes (0: not known) as
// `attnrl train` shares them out: ranks of the learner first, then workers, one GPU after the
// other, or the one that a key names. InputError where several on one GPU are too much for it.
absl::Status CheckSharedGpus(const config::Config& config,
                             const std::vector<DeviceEstimate>& devices,
                             const std::vector<int64_t>& gpu_bytes);

// A line for each part of each process, aligned. Empty without devices.
std::string DeviceTable(const std::vector<DeviceEstimate>& devices, int64_t device_bytes);

}  // namespace attnrl::tools
