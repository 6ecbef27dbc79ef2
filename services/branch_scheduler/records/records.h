// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/branch_scheduler/data_set.h"
#include "services/branch_scheduler/decide/outcome.h"
#include "services/branch_scheduler/options.h"
#include "services/branch_scheduler/problem.h"
#include "services/branch_scheduler/records/verdicts.h"
#include "services/branch_scheduler/types.h"

// The lines of a run's records, as services/branch_scheduler/records/README.md fixes them: one JSON
// object each, no line break at the end.
namespace attnrl::scheduler {

inline constexpr char kEventsFile[] = "events.jsonl";
inline constexpr char kMetricsFile[] = "metrics.jsonl";

struct Event {
  const char* kind = "";  // initial|continuation|grade|train|sync|checkpoint
  uint32_t batch = 0;
  std::optional<ItemId> item = {};
  uint32_t version = 0;
  std::optional<std::string> worker = {};
  Span span = {};
};
std::string EventLine(const Event& event);

// The versions that sampled a batch.
struct SamplingVersions {
  Version initial = {};
  Version continuation = {};
};

// One line of trees/batch-N.jsonl.zst.
std::string TreeLine(const SchedulerOptions& options, const DataSet& data, const BatchState& batch,
                     const Problem& problem, const ProblemOutcome& outcome,
                     const SamplingVersions& versions);

// Writes trees/batch-N.jsonl.zst of a batch that is ready, or the plain file: all lines or none,
// also after a kill; the same bytes again for the same batch. Blocks until they are on disk, which
// may take seconds.
absl::Status WriteTreeFile(const SchedulerOptions& options, const DataSet& data,
                           const BatchState& batch, const SamplingVersions& versions);

// What a metrics line needs beyond the batch itself.
struct StepTiming {
  double step_seconds = 0;  // since the step before
  double window_start = 0;  // end of the training before; overlap counts from here
  // Work of rollouts of any batch that may overlap this training step.
  std::vector<Span> rollouts = {};
};

// Everything a batch's leaves are counted into.
struct BatchFacts {
  uint64_t problems = 0;
  uint64_t leaves = 0, rewarded = 0, truncated = 0;
  VerdictCounts verdicts = {};  // of the leaves
  uint64_t initials_graded = 0, initials_correct = 0;
  uint64_t generated = 0, reused = 0, response_tokens = 0;
  uint64_t samples = 0, valid = 0;       // before the drop rule and after it
  uint64_t points = 0, disagreeing = 0;  // branch points, and those whose continuations differ
  uint64_t pairs = 0, differing = 0;     // of initial responses beside continuations
  uint64_t continued = 0, continuation_tokens = 0;
  uint64_t scored = 0;  // initial responses with attention scores
  double score = 0;     // sum of the means of their steps' scores
  bool initials = false, continuations = false;
  double reward = 0;
  std::vector<Span> rollouts = {}, gradings = {};
};
BatchFacts FactsOf(const SchedulerOptions& options, const BatchState& batch,
                   const std::vector<ProblemOutcome>& outcomes);

// One line of metrics.jsonl.
std::string MetricsLine(const BatchState& batch, const BatchFacts& facts,
                        const SamplingVersions& versions, const BatchCommit& commit,
                        const StepTiming& timing);

// Ascending, disjoint spans that cover the same time.
std::vector<Span> MergeSpans(std::vector<Span> spans);
double TotalSeconds(const std::vector<Span>& merged);
// Time covered by both; each merged.
double CommonSeconds(const std::vector<Span>& a, const std::vector<Span>& b);

}  // namespace attnrl::scheduler
