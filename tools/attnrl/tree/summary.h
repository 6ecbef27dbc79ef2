// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tools/attnrl/tree/record.h"

namespace attnrl::tools {

// The head of the page: which problem, whether it trains, its figures, and what the colours mean.
std::string SummarySection(const TreeProblem& problem, const std::string& source);

}  // namespace attnrl::tools
