// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace attnrl {

// One version of the weights: W(number), the policy after `number` training batches of the run.
// Number and digest together name it; two versions are the same exactly when both are.
struct Version {
  uint32_t number = 0;
  // Hex SHA-256 over all tensors (common/pipeline/README.md, "Versions and digests", gives the byte
  // order). Empty in a request means: whatever was published under this number.
  std::string digest;

  auto operator<=>(const Version& other) const = default;  // by number first
};

}  // namespace attnrl
