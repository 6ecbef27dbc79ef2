// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/verifier/grading/reading/answer.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// The readings of an accepted answer; shared, since all responses to a problem are compared with
// the same ones.
using AcceptedAnswer = std::shared_ptr<const std::vector<Reading>>;

// Reads `accepted`, raw as in the data set, or remembers how it was read. Costs the same work
// either way, so that no verdict depends on what was graded before. Each thread remembers what it
// was last asked for, within the limits of that call and 64 MiB. Never null.
AcceptedAnswer ReadAccepted(const std::string& accepted, const Limits& limits, Work& work);

}  // namespace attnrl::verifier
