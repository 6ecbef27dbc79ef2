// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/model/files/weights.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// `tensors` (any device, float32 or bfloat16) as plain bytes, with its digest. Throws where
// there is no memory for them.
VersionData ToVersionData(uint32_t number, const model::Tensors& tensors);

// Reads all tensors of one safetensors file; the digest is computed, the number left 0. DATA_LOSS
// names the file and what is damaged: anything that model::SafetensorsFile refuses, and a dtype
// other than F32 and BF16. The codes of common/storage/files.h where it can't be opened or read.
// Memory: the version.
absl::StatusOr<VersionData> ReadVersionFile(const std::string& path);

// Writes `data` as such a file; it appears complete by rename. RESOURCE_EXHAUSTED names the path
// where the disk is full.
absl::Status WriteVersionFile(const std::string& path, const VersionData& data);
// The SHA-256 of the file that WriteVersionFile makes.
std::string VersionFileDigest(const VersionData& data);

}  // namespace attnrl::learner
