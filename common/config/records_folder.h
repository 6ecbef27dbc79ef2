// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace attnrl::config {

// Where the records of a run are: what observe.records says in the config.yaml of its directory;
// where there is none, or none that can be read, the directory itself.
std::string RecordsFolder(const std::string& run_directory);

}  // namespace attnrl::config
