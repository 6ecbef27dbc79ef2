// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/config/config.h"
#include "tools/attnrl/train/estimate/run_shape.h"

namespace attnrl::tools {

// What the directory of a run takes at its end, in bytes, where every response has its full length
// and branches: an upper estimate.
struct DiskEstimate {
  int64_t checkpoints = 0;  // and the published weights beside them
  int64_t trees = 0;
  int64_t rest = 0;  // database, records, logs, the reference model
  int64_t total = 0;
};

DiskEstimate EstimateDisk(const config::Config& config, const RunShape& shape);

// "about 1.2 GB at most: checkpoints 0.9 GB, trees 0.2 GB, the rest 0.1 GB".
std::string DiskText(const DiskEstimate& disk);

// What to say where `free_bytes` may not suffice; empty where they do.
std::string DiskWarning(const config::Config& config, const DiskEstimate& disk, int64_t free_bytes);

}  // namespace attnrl::tools
