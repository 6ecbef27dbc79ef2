// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/config/key.h"

namespace attnrl::config {
namespace {

// What a run that goes on may have otherwise than it began: nothing here changes what is sampled,
// graded or trained. Whole sections end with a point. Everything else is held fast, new keys too.
const std::set<std::string>& MayDiffer() {
  static const auto* names = new std::set<std::string>{"run.id",
                                                       "run.steps",
                                                       "run.max_empty_batches",
                                                       "rollout.workers",
                                                       "rollout.threads",
                                                       "rollout.slots",
                                                       "rollout.kv_cache_bytes",
                                                       "rollout.resident_versions",
                                                       "rollout.weights_folder",
                                                       "scheduler.",
                                                       "verifier.",
                                                       "learner.address",
                                                       "learner.checkpoint_every",
                                                       "learner.checkpoint_layers",
                                                       "learner.checkpoints_best",
                                                       "learner.offload_optimizer",
                                                       "learner.offload_reference",
                                                       "learner.ranks",
                                                       "learner.send_bytes_per_second",
                                                       "learner.rank_timeout_seconds",
                                                       "observe.",
                                                       "learner.checkpoints_kept",
                                                       "security."};
  return *names;
}

bool IsFixed(const Key& key) {
  return !MayDiffer().contains(key.name()) && !MayDiffer().contains(key.section() + ".");
}

}  // namespace

std::map<std::string, std::string> Fingerprint(const Config& config) {
  std::map<std::string, std::string> fingerprint;
  for (const auto& key : Schema()) {
    if (IsFixed(*key)) fingerprint[key->name()] = key->Print(config);
  }
  if (!config.stages.empty()) fingerprint["stages"] = PrintStages(config.stages);
  return fingerprint;
}

absl::Status CheckResume(const Config& before, const Config& now) {
  std::vector<std::string> differing;
  for (const auto& key : Schema()) {
    if (!IsFixed(*key) || key->Print(before) == key->Print(now)) continue;
    differing.push_back(
        absl::StrCat(key->name(), " (was ", key->Print(before), ", is ", key->Print(now), ")"));
  }
  if (PrintStages(before.stages) != PrintStages(now.stages)) differing.emplace_back("stages");
  if (differing.empty()) return absl::OkStatus();
  return InputError(
      "--resume",
      absl::StrCat("other settings than the run began with: ", absl::StrJoin(differing, ", ")),
      "restore these settings, or start a new run in another --run-dir");
}

}  // namespace attnrl::config
