// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "services/branch_scheduler/data_set.h"
#include "services/branch_scheduler/options.h"
#include "services/branch_scheduler/problem.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// What became of a problem; the words of KeptName are those of
// services/branch_scheduler/decide/README.md, "What became of a problem".
enum class Kept {
  kAll,            // its samples are trained
  kFiltered,       // left out before branching (adaptive sampling)
  kZeroAdvantage,  // all samples have the same reward, or there is none
  kUngradable,     // some leaf could not be graded (tests/README.md, promise 7)
};
std::string_view KeptName(Kept kept);

// The advantages of one problem. A leaf's list is empty where it is no sample or is not trained.
struct ProblemOutcome {
  Kept kept = Kept::kZeroAdvantage;
  std::vector<std::vector<AdvantageRun>> responses = {};              // one an initial response
  std::vector<std::vector<std::vector<AdvantageRun>>> children = {};  // [response][sample]
  uint32_t samples = 0;                                               // before the drop rule
};

// Advantages and drop rule (common/tree/README.md, "Trees and advantages") of a problem that is
// done; `max_response_tokens` of its batch. Pure.
ProblemOutcome Judge(const SchedulerOptions& options, uint32_t max_response_tokens,
                     const Problem& problem);

// Judge of every problem, in order.
std::vector<ProblemOutcome> JudgeAll(const SchedulerOptions& options, const BatchState& batch);

// Numbers of the versions that sampled a batch; by name, since one is easily taken for the other.
struct VersionNumbers {
  uint32_t initial = 0;
  uint32_t continuation = 0;
};

// The learner's batch, from the durable results alone: the same results give the same bytes.
TrainingBatch MakeTrainingBatch(const SchedulerOptions& options, const DataSet& data,
                                const BatchState& batch,
                                const std::vector<ProblemOutcome>& outcomes,
                                VersionNumbers versions);

}  // namespace attnrl::scheduler
