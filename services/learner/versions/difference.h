// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace attnrl::learner {

// What a step of training changes in a stretch of weights: the bytes of two versions XOR each
// other, compressed by Zstandard. Lossless. At small learning rates most bfloat16 weights keep
// their bits, and a difference takes a few percent of the weights. Pure; any thread.

// `base` and `bytes` have one length. Some hundred MB a second.
std::string Difference(std::string_view base, std::string_view bytes);

// Writes the bytes whose Difference to `base` this is to `bytes`, which is as long. DATA_LOSS for
// anything that isn't one of that length.
absl::Status ApplyDifference(std::string_view base, std::string_view difference,
                             std::span<char> bytes);

}  // namespace attnrl::learner
