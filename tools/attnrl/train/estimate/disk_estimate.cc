// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/estimate/disk_estimate.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tools/attnrl/train/estimate/memory_estimate.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

// Of trees/, a token (services/branch_scheduler/records/README.md).
constexpr int64_t kCompressedTokenBytes = 6;
constexpr int64_t kPlainTokenBytes = 36;
// In the database: an id and two floats, and what SQLite adds.
constexpr int64_t kStoredTokenBytes = 13;
// A line of metrics.jsonl with its place in the database, and the two of an item in events.jsonl.
constexpr int64_t kStepBytes = 2500;
constexpr int64_t kItemBytes = 350;
// Of one process: common/observe/README.md, "Log", and processes/README.md.
constexpr int64_t kLogBytes = int64_t{40} * 1000 * 1000;

// Sampled for one batch, where each response is as long as it may be and, where the run branches,
// has continuations from its middle.
int64_t TokensOfBatch(const config::Config& config) {
  const config::Sampling& sampling = config.algorithm.sampling;
  const config::Branching& branching = config.algorithm.branching;
  const int64_t responses = sampling.batch_problems * sampling.initial_responses;
  const int64_t tokens = responses * config.rollout.max_response_tokens;
  if (branching.criterion == tree::Criterion::kNone) return tokens;
  return tokens + tokens * branching.points * branching.children / 2;
}

}  // namespace

DiskEstimate EstimateDisk(const config::Config& config, const RunShape& shape) {
  const int64_t weights = model::CountParameters(shape.model);
  const int64_t dtype_bytes = shape.dtype_bytes();
  // What workers load, and masters and two moments in float32.
  const int64_t checkpoint = weights * dtype_bytes + TrainedParameters(config, shape.model) * 3 * 4;
  const int64_t made = config.run.steps / std::max<int64_t>(1, config.learner.checkpoint_every);
  DiskEstimate disk;
  // That of step 0, those that are kept and the one that is being written; of other versions those
  // that a batch may still need.
  const int64_t kept = config.learner.checkpoints_kept + config.learner.checkpoints_best;
  disk.checkpoints = checkpoint * (2 + std::min(made, kept)) + 4 * weights * dtype_bytes;
  const int64_t batches = config.observe.trees_kept == 0
                              ? config.run.steps
                              : std::min(config.run.steps, config.observe.trees_kept);
  const int64_t tokens = TokensOfBatch(config);
  disk.trees = batches * tokens *
               (config.observe.trees == "plain" ? kPlainTokenBytes : kCompressedTokenBytes);
  // Results are stored until each checkpoint that is kept covers them.
  const bool here = config.scheduler.store.empty();  // and not on a server's disk
  const int64_t stored =
      here ? std::min(config.run.steps,
                      config.learner.checkpoints_kept * config.learner.checkpoint_every + 3)
           : 0;
  const config::Sampling& sampling = config.algorithm.sampling;
  // A file of each rank, while it runs.
  const bool reference = config.learner.kl_weight > 0 &&
                         config.learner.offload_reference == config::OffloadReference::kDisk;
  disk.rest = (reference ? config.learner.ranks * weights * dtype_bytes : 0) +
              stored * tokens * kStoredTokenBytes +
              config.run.steps * (kStepBytes + kItemBytes * 2 * sampling.batch_problems *
                                                   sampling.initial_responses) +
              kLogBytes * (3 + config.rollout.workers);
  disk.total = disk.checkpoints + disk.trees + disk.rest;
  return disk;
}

std::string DiskText(const DiskEstimate& disk) {
  return absl::StrCat("about ", FormatBytes(disk.total), " at most: checkpoints ",
                      FormatBytes(disk.checkpoints), ", trees ", FormatBytes(disk.trees),
                      ", the rest ", FormatBytes(disk.rest));
}

std::string DiskWarning(const config::Config& config, const DiskEstimate& disk,
                        int64_t free_bytes) {
  if (disk.total <= free_bytes) return "";
  std::string advice;
  if (2 * disk.trees >= disk.total) {
    const int64_t kept = config.observe.trees_kept;
    advice = absl::StrCat("; observe.trees_kept bounds the trees, now to those of ",
                          kept == 0 ? "all" : absl::StrCat("the newest ", kept), " batches");
  }
  return absl::StrCat("the run may take ", DiskText(disk), ", and there are ",
                      FormatBytes(free_bytes), " left", advice);
}

}  // namespace attnrl::tools
