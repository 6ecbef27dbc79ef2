// SPDX-License-Identifier: Apache-2.0
#include "services/learner/metrics.h"

#include <ATen/core/Tensor.h>

#include <optional>
#include <utility>

#include "common/device/gpu_metrics.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/storage/files.h"

namespace attnrl::learner {
namespace {

void ObservePhase(const char* phase, const std::optional<scheduler::Span>& span) {
  if (span) observe::Observe(observe::kLearnerStepPhaseSeconds, {phase}, span->end - span->start);
}

}  // namespace

void ReportDevice(const config::Config& config, const StartModel& start) {
  const at::Device device = start.tensors.begin()->second.device();
  device::ReportGpuMemory(device);
  device::ReportPeakFlops(device, start.dtype == model::DType::kBFloat16, config.observe.peak_flops,
                          "learner");
}

MetricsObserver::MetricsObserver(std::string run_dir) : run_dir_(std::move(run_dir)) {
  observe::StartAtZero(observe::kLearnerNonfiniteStepsTotal);
}

void MetricsObserver::Waiting(uint32_t batch, const std::string& reason) {
  if (reason == last_reason_) return;
  last_reason_ = reason;
  observe::LogDebug("waiting", {{"batch", batch}, {"reason", reason}});
}

void MetricsObserver::Refused(uint32_t batch, const absl::Status& status) {
  observe::LogError("batch refused", {{"batch", batch}, {"status", status}});
}

void MetricsObserver::Done(const StepReport& report) {
  const scheduler::TrainStatistics& statistics = report.statistics;
  if (const auto free = storage::FreeBytes(run_dir_); free.ok()) {
    observe::Set(observe::kStorageFreeBytes, {"ckpt"}, static_cast<double>(*free));
  }
  if (report.checkpoint) {
    observe::Observe(observe::kLearnerStepPhaseSeconds, {"checkpoint"},
                     report.checkpoint_pause_seconds);
  }
  observe::Set(observe::kLearnerWeightVersion, {}, report.version.number);
  observe::Observe(observe::kLearnerStepPhaseSeconds, {"wait"}, statistics.wait_seconds);
  ObservePhase("train", statistics.train);
  ObservePhase("publish", statistics.sync);
  for (const auto& [lag, samples] : report.lags) {
    for (uint64_t i = 0; i < samples; ++i) {
      observe::Observe(observe::kLearnerSampleStalenessSteps, {}, lag);
    }
  }
  observe::Set(observe::kLearnerRewardMean, {}, report.reward_mean);
  observe::Set(observe::kLearnerPolicyEntropyNats, {}, statistics.entropy);
  observe::Set(observe::kLearnerPolicyKlNats, {}, statistics.kl);
  observe::Set(observe::kLearnerClipRatio, {"low"}, statistics.clip_low);
  observe::Set(observe::kLearnerClipRatio, {"high"}, statistics.clip_high);
  observe::Set(observe::kLearnerImportanceRatioMax, {}, statistics.ratio_max);
  observe::Set(observe::kLearnerImportanceMean, {}, statistics.importance_mean);
  observe::Set(observe::kLearnerImportanceMax, {}, statistics.importance_max);
  observe::Set(observe::kLearnerImportanceTruncatedRatio, {}, statistics.importance_truncated);
  observe::Set(observe::kLearnerEffectiveSamplesRatio, {}, statistics.effective_samples);
  observe::Set(observe::kLearnerBehaviourGapNats, {"k1"}, statistics.behaviour_k1);
  observe::Set(observe::kLearnerBehaviourGapNats, {"k3"}, statistics.behaviour_k3);
  observe::Set(observe::kLearnerGradNorm, {}, statistics.grad_norm);
  observe::Set(observe::kLearnerLearningRate, {}, statistics.learning_rate);
  observe::Set(observe::kLearnerLoss, {}, statistics.loss);
  observe::Count(observe::kLearnerNonfiniteStepsTotal, {}, statistics.nonfinite_steps);
  observe::LogInfo(report.replayed ? "replayed" : "trained",
                   {{"batch", report.batch},
                    {"version", report.version.number},
                    {"digest", report.version.digest},
                    {"samples", report.samples},
                    {"tokens", statistics.trained_tokens},
                    {"loss", statistics.loss},
                    {"optimizer_steps", statistics.optimizer_steps},
                    {"nonfinite_steps", statistics.nonfinite_steps}});
}

}  // namespace attnrl::learner
