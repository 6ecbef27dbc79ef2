// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/worker_metrics.h"

#include "common/model/flops.h"
#include "common/observe/metrics.h"

namespace attnrl::rollout {

// Handles are looked up once: a step is short.
std::function<void(const StepReport&)> StepObserver(int64_t slots,
                                                    const model::ModelConfig& model) {
  const auto prompt = observe::GetCounter(observe::kRolloutTokensTotal, {"prompt"});
  const auto reused = observe::GetCounter(observe::kRolloutTokensTotal, {"reused"});
  const auto generated = observe::GetCounter(observe::kRolloutTokensTotal, {"generated"});
  const auto flops = observe::GetCounter(observe::kModelFlopsTotal, {"worker"});
  const auto seconds = observe::GetHistogram(observe::kRolloutDecodeStepSeconds);
  const auto used = observe::GetGauge(observe::kRolloutBatchSlots, {"used"});
  const auto free = observe::GetGauge(observe::kRolloutBatchSlots, {"free"});
  const auto own_blocks = observe::GetGauge(observe::kRolloutKvBlocks, {"used"});
  const auto text_blocks = observe::GetGauge(observe::kRolloutKvBlocks, {"shared"});
  const auto free_blocks = observe::GetGauge(observe::kRolloutKvBlocks, {"free"});
  const auto preempted = observe::GetCounter(observe::kRolloutPreemptionsTotal);
  const auto version = observe::GetGauge(observe::kRolloutPolicyVersion);
  return [=](const StepReport& report) {
    prompt.Add(static_cast<double>(report.prefill_rows));
    reused.Add(static_cast<double>(report.reused_tokens));
    generated.Add(static_cast<double>(report.sampled_tokens));
    flops.Add(model::ForwardFlops(model, {.rows = report.prefill_rows + report.decode_rows,
                                          .attended = report.attended,
                                          .logit_rows = report.sampled_tokens}));
    seconds.Observe(absl::ToDoubleSeconds(report.duration));
    used.Set(static_cast<double>(report.running));
    free.Set(static_cast<double>(slots - report.running));
    own_blocks.Set(static_cast<double>(report.own_blocks));
    text_blocks.Set(static_cast<double>(report.text_blocks));
    free_blocks.Set(static_cast<double>(report.free_blocks));
    preempted.Add(static_cast<double>(report.preempted));
    version.Set(report.version);
  };
}

void ObserveCompletion(const Completion& completion) {
  const char* finish = !completion.status.ok()                    ? "aborted"
                       : completion.finish == FinishReason::kStop ? "stop"
                                                                  : "length";
  observe::Observe(observe::kRolloutResponseTokens, {finish},
                   static_cast<double>(completion.token_ids.size()));
}

void ObserveWeights(const Version&, absl::Duration took, const absl::Status& status) {
  observe::Observe(observe::kRolloutWeightSyncSeconds, {status.ok() ? "ok" : "error"},
                   absl::ToDoubleSeconds(took));
}

}  // namespace attnrl::rollout
