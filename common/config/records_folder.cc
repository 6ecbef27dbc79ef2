// SPDX-License-Identifier: Apache-2.0
#include "common/config/records_folder.h"

#include "absl/status/statusor.h"
#include "common/config/config.h"

namespace attnrl::config {

std::string RecordsFolder(const std::string& run_directory) {
  const absl::StatusOr<Config> config = Load(run_directory + "/config.yaml", {}, {});
  return config.ok() && !config->observe.records.empty() ? config->observe.records : run_directory;
}

}  // namespace attnrl::config
