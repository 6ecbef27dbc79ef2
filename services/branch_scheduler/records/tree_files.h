// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace attnrl::scheduler {

// The names of the files in trees/: "batch-3.jsonl", or compressed "batch-3.jsonl.zst".
std::string TreeFileName(uint64_t batch, bool compressed);
// Which batch a file of that name has; nullopt where the name is none of these.
std::optional<uint32_t> BatchOfTreeFile(std::string_view name);
// The paths of such files in a folder, ascending by batch; empty where there is no such folder.
std::vector<std::string> TreeFiles(const std::string& folder);
// Removes the files of the batches below `batch`.
absl::Status RemoveTreeFilesBefore(const std::string& folder, uint32_t batch);

}  // namespace attnrl::scheduler
