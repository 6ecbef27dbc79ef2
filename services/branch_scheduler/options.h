// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/pipeline/schedule.h"
#include "common/tree/adaptive_sampling.h"
#include "common/tree/criteria/criterion.h"
#include "services/branch_scheduler/store_location.h"

namespace attnrl::scheduler {

// Where a response is expanded (common/tree/README.md, "Branch points").
struct BranchingOptions {
  tree::Criterion criterion = tree::Criterion::kNone;
  uint32_t points = 2;    // N
  uint32_t children = 2;  // T
  // Of criterion fci: how to choose among scored steps, the threshold's quantile, tokens between
  // points, and steps between an attended step and those that attend (D).
  tree::Choice choice = tree::Choice::kPositional;
  double quantile = 0.8;
  uint32_t min_distance = 512;
  bool fill = true;  // where fewer steps than points qualify
  uint32_t delta = 4;
};

// Which responses and problems are expanded, and how many problems a batch has
// (common/tree/README.md, "Adaptive sampling"). Each is a switch of its own.
struct AdaptiveOptions {
  tree::Expand expand = tree::Expand::kAll;
  bool train_unexpanded = false;
  bool filter_solved = false;  // by attention
  bool drop_all_solved = false;
  tree::ExpandRounding rounding = tree::ExpandRounding::kCeil;
  bool adaptive_batch = false;  // off: batch_problems
  uint32_t batch_min = 1;
  uint32_t batch_max = 1024;
};

// Of a prompt with its response. A token takes 9 bytes at most, so a lease, and a sample of a
// batch, fit into a message.
inline constexpr uint64_t kMaxSequenceTokens = 300'000;

// What a stage of the run may set anew (common/config/README.md, "Stages").
struct StageOptions {
  uint32_t batch_problems = 64;
  uint32_t initial_responses = 6;  // n
  uint32_t max_response_tokens = 8192;
  uint32_t data = 0;  // of DataSet::parts
  bool operator==(const StageOptions&) const = default;
};

// Everything a run of the scheduler is told. Made from the configuration by OptionsOf (assemble.h).
struct SchedulerOptions {
  std::string run_dir = {};
  std::string records = {};  // metrics.jsonl, events.jsonl and trees/ go here
  StoreLocation store = {};
  bool compress_trees = false;  // observe.trees
  uint32_t trees_kept = 0;      // newest batches with a file in trees/; 0: all

  uint64_t seed = 0;  // run.seed
  uint32_t steps = 500;
  uint32_t max_empty_batches = 10;
  // Of the learner's newest checkpoints those that it can go on from, two at least: what has been
  // sampled since is stored.
  uint32_t checkpoints_kept = 2;
  pipeline::PipelineMode mode = pipeline::PipelineMode::kOverlapped;

  // From batch 0 on.
  StageOptions first = {};
  // By the batch that a stage begins with.
  std::map<uint32_t, StageOptions> later = {};
  BranchingOptions branching = {};
  AdaptiveOptions adaptive = {};
  bool tree_advantages = false;  // otherwise group-normalised
  bool advantage_std = true;     // group advantages are divided by the standard deviation
  // Tokens before max_response_tokens (StageOptions) over which the reward falls by up to 1; 0: it
  // doesn't.
  uint32_t overlong_buffer = 0;

  uint32_t max_prompt_tokens = 1024;
  float temperature = 1;
  float top_p = 1;
  uint32_t top_k = 0;
  std::vector<int32_t> stop_ids = {};
  int64_t vocabulary = 0;      // of the model: its token ids are below this, padding included
  bool deterministic = false;  // rollout.deterministic

  absl::Duration lease = absl::Seconds(60);
  absl::Duration item_limit = absl::ZeroDuration();  // of a lease; 0: none
  // How often a response is graded in all while graders crash or time out; then its problem is
  // dropped.
  uint32_t grade_attempts = 3;
  uint32_t grader_threads = 2;
  std::string grader = {};  // data.grader: of problems that name none; empty: the verifier's
  absl::Duration grader_timeout = absl::Seconds(1);  // verifier.timeout_ms
  // After a restart the scheduler hands out nothing until the workers that it knows of are back
  // with what they hold, for this long at most.
  absl::Duration adoption_grace = absl::Seconds(8);
  // The same where it knows of none, as in a run that had just begun.
  absl::Duration unknown_grace = absl::Seconds(2);

  // What must not differ when the run is resumed: configuration key -> value.
  std::map<std::string, std::string> fingerprint = {};

  bool branches() const { return branching.criterion != tree::Criterion::kNone; }
  // Workers score the attention of initial responses.
  bool scores_attention() const {
    return tree::ReadsFci(branching.criterion) || adaptive.filter_solved;
  }
  // What holds for a batch.
  const StageOptions& At(uint32_t batch) const;
  // The rule of an adaptive batch size; its target is that of B0 problems, all expanded.
  tree::BatchSizing sizing(uint32_t batch) const;
  pipeline::Schedule schedule() const { return {.mode = mode, .branching = branches()}; }
  // Names the key that is out of range; InputError.
  absl::Status Validate() const;
};

}  // namespace attnrl::scheduler
