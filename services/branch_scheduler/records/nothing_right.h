// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "services/branch_scheduler/records/verdicts.h"

namespace attnrl::scheduler {

// So many batches at the beginning of a run tell whether it earns anything.
inline constexpr uint32_t kFirstBatches = 3;

// Where no response of the first kFirstBatches batches was right, one sentence for people: what was
// wrong with them, by share, what would help against the most frequent of it, and where to look.
// nullopt where one was right, or where there are not as many batches yet or they lack the counts.
//
// A pure function of the lines of metrics.jsonl, so that the scheduler's log and the terminal of
// `attnrl train` say the same, whatever was killed in between. `first`: of the run's batches from 0
// on; more than kFirstBatches are allowed and not looked at. `max_response_tokens`: of the run's
// configuration, in tokens.
std::optional<std::string> NothingRight(std::span<const BatchVerdicts> first,
                                        int64_t max_response_tokens, const std::string& run_dir);

}  // namespace attnrl::scheduler
