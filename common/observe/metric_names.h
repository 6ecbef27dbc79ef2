// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "common/observe/metric_labels.h"

namespace attnrl::observe {

// Every metric that there is: the one list that code, rules and dashboards agree on. Names follow
// Prometheus: prefix attnrl_, base units, counters end in _total. A label has a closed list of
// values; "other" is always added to it. A new metric is a constant and a line in kAllMetrics.
enum class MetricType { kCounter, kGauge, kHistogram };

struct MetricName {
  std::string_view name;
  MetricType type;
  std::string_view help;
  std::span<const MetricLabel> labels = {};
  std::span<const double> buckets = {};  // histograms only
};

// ---- Every process ----
inline constexpr MetricName kBuildInfo = {"attnrl_build_info", MetricType::kGauge,
                                          "Always 1; the labels name the build", labels::kBuild};
inline constexpr MetricName kGpuMemoryBytes = {"attnrl_gpu_memory_bytes", MetricType::kGauge,
                                               "Memory of the GPU that this process computes on",
                                               labels::kGpuMemory};
inline constexpr MetricName kDevicePeakFlops = {
    "attnrl_device_peak_flops", MetricType::kGauge,
    "Operations a second that the device can do at most, where that is known",
    labels::kComputingRole};
inline constexpr MetricName kModelFlopsTotal = {
    "attnrl_model_flops_total", MetricType::kCounter,
    "Floating-point operations of the model that were asked for", labels::kComputingRole};
inline constexpr MetricName kRpcRequestsTotal = {"attnrl_rpc_requests_total", MetricType::kCounter,
                                                 "Calls answered by this server, by status code",
                                                 labels::kMethodCode};
inline constexpr MetricName kRpcDurationSeconds = {
    "attnrl_rpc_duration_seconds", MetricType::kHistogram,
    "Time from the start of a handler to its answer, streams to their end", labels::kMethod,
    kSecondsBuckets};
inline constexpr MetricName kRpcRejectedTotal = {"attnrl_rpc_rejected_total", MetricType::kCounter,
                                                 "Calls refused before their work began",
                                                 labels::kRejection};
inline constexpr MetricName kRpcClientRequestsTotal = {
    "attnrl_rpc_client_requests_total", MetricType::kCounter,
    "Calls from this process that have ended, by the status code it got", labels::kTargetCode};
inline constexpr MetricName kRpcClientRetriesTotal = {
    "attnrl_rpc_client_retries_total", MetricType::kCounter, "Calls made again after a failure",
    labels::kTarget};
inline constexpr MetricName kRpcMessageBytes = {
    "attnrl_rpc_message_bytes", MetricType::kHistogram,
    "Size of a message, measured by the process that sends it", labels::kMessage, kBytesBuckets};
inline constexpr MetricName kRpcPlaintext = {
    "attnrl_rpc_plaintext", MetricType::kGauge,
    "Is 1 where TCP beyond this machine is served or called without TLS"};
inline constexpr MetricName kRpcCertificateExpiry = {
    "attnrl_rpc_certificate_expiry_timestamp_seconds", MetricType::kGauge,
    "When the certificate of this process expires, in seconds since 1970; none without TLS"};
inline constexpr MetricName kStorageFreeBytes = {"attnrl_storage_free_bytes", MetricType::kGauge,
                                                 "Free space on the file system of this volume",
                                                 labels::kVolume};
inline constexpr MetricName kLastFailureTimestampSeconds = {
    "attnrl_last_failure_timestamp_seconds", MetricType::kGauge,
    "When the process before this one ended with an error, by its code", labels::kCode};

// ---- Branch scheduler ----
inline constexpr MetricName kSchedulerOpenItems = {
    "attnrl_scheduler_open_items", MetricType::kGauge,
    "Work items that are runnable or leased; use it to scale workers"};
inline constexpr MetricName kSchedulerOldestPendingSeconds = {
    "attnrl_scheduler_oldest_pending_seconds", MetricType::kGauge,
    "How long the item to be handed out next has waited for a worker"};
inline constexpr MetricName kSchedulerWorkers = {"attnrl_scheduler_workers", MetricType::kGauge,
                                                 "Connected rollout workers"};
inline constexpr MetricName kSchedulerLeases = {"attnrl_scheduler_leases", MetricType::kGauge,
                                                "Leases that exist now"};
inline constexpr MetricName kSchedulerLeaseEventsTotal = {
    "attnrl_scheduler_lease_events_total", MetricType::kCounter, "Events in the life of leases",
    labels::kLeaseEvent};
inline constexpr MetricName kSchedulerFencedWritesTotal = {
    "attnrl_scheduler_fenced_writes_total", MetricType::kCounter,
    "Results refused because their lease was lost", labels::kFenceReason};
inline constexpr MetricName kSchedulerUngradableTotal = {
    "attnrl_scheduler_ungradable_problems_total", MetricType::kCounter,
    "Problems dropped because their grading crashed or ran out of time"};
inline constexpr MetricName kSchedulerBatchesTotal = {"attnrl_scheduler_batches_total",
                                                      MetricType::kCounter, "Batches committed"};
inline constexpr MetricName kSchedulerBatchesLeft = {
    "attnrl_scheduler_batches_left", MetricType::kGauge,
    "Batches of the run that are not committed yet"};
inline constexpr MetricName kSchedulerLastCommitTimestampSeconds = {
    "attnrl_scheduler_last_commit_timestamp_seconds", MetricType::kGauge,
    "When the last batch was committed; before the first, when that was composed"};
inline constexpr MetricName kSchedulerCheckpointTimestampSeconds = {
    "attnrl_scheduler_checkpoint_timestamp_seconds", MetricType::kGauge,
    "When the newest checkpoint's last batch was committed; before one, as of the first batch"};
inline constexpr MetricName kSchedulerBatchProblems = {
    "attnrl_scheduler_batch_problems", MetricType::kGauge, "Problems of the last trained batch"};
inline constexpr MetricName kSchedulerValidSamples = {
    "attnrl_scheduler_valid_samples", MetricType::kGauge,
    "Samples with an advantage in the last trained batch"};
inline constexpr MetricName kSchedulerBranchGainRatio = {
    "attnrl_scheduler_branch_gain_ratio", MetricType::kGauge,
    "Share of the last batch's branch points whose continuations disagree"};
inline constexpr MetricName kSchedulerInitialGainRatio = {
    "attnrl_scheduler_initial_gain_ratio", MetricType::kGauge,
    "Share of pairs of initial responses that disagree, in the last batch's branched problems"};
inline constexpr MetricName kSchedulerFciMean = {
    "attnrl_scheduler_fci_mean", MetricType::kGauge,
    "Attention score per step, mean over the last batch's initial responses"};
inline constexpr MetricName kSchedulerFilterRunningMean = {
    "attnrl_scheduler_filter_running_mean", MetricType::kGauge,
    "What a solved problem's attention score must exceed to be kept"};
inline constexpr MetricName kSchedulerProblemsTotal = {
    "attnrl_scheduler_problems_total", MetricType::kCounter,
    "Problems of trained batches by outcome", labels::kKeptProblems};
inline constexpr MetricName kSchedulerBranchPointsTotal = {
    "attnrl_scheduler_branch_points_total", MetricType::kCounter,
    "Branch points of trained batches by how they were found", labels::kPointOrigin};
inline constexpr MetricName kSchedulerResponsesTotal = {
    "attnrl_scheduler_responses_total", MetricType::kCounter,
    "Initial responses of trained batches, expanded or not", labels::kExpanded};
inline constexpr MetricName kSchedulerVerdictsTotal = {
    "attnrl_scheduler_verdicts_total", MetricType::kCounter,
    "Responses and continuations of trained batches by verdict", labels::kOutcome};
inline constexpr MetricName kSchedulerDbCommitSeconds = {
    "attnrl_scheduler_db_commit_seconds", MetricType::kHistogram,
    "Time to commit a database transaction", labels::kNone, kSecondsBuckets};
inline constexpr MetricName kSchedulerStore = {
    "attnrl_scheduler_store", MetricType::kGauge,
    "Always 1; the label says what the run's rows lie in", labels::kStore};
inline constexpr MetricName kSchedulerStoreReconnectsTotal = {
    "attnrl_scheduler_store_reconnects_total", MetricType::kCounter,
    "Connections to the database made again after a loss"};
inline constexpr MetricName kSchedulerEpoch = {
    "attnrl_scheduler_epoch", MetricType::kGauge,
    "Starts of a scheduler on this run up to this one, which owns it; 0 while another one does"};

// ---- Rollout worker ----
inline constexpr MetricName kRolloutTokensTotal = {
    "attnrl_rollout_tokens_total", MetricType::kCounter, "Tokens processed", labels::kTokenKind};
inline constexpr MetricName kRolloutDecodeStepSeconds = {
    "attnrl_rollout_decode_step_seconds", MetricType::kHistogram,
    "Time of one step of the running batch", labels::kNone, kSecondsBuckets};
inline constexpr MetricName kRolloutBatchSlots = {"attnrl_rollout_batch_slots", MetricType::kGauge,
                                                  "Sequence slots of the running batch",
                                                  labels::kSlotState};
inline constexpr MetricName kRolloutKvBlocks = {"attnrl_rollout_kv_blocks", MetricType::kGauge,
                                                "Blocks of the KV cache", labels::kBlockState};
inline constexpr MetricName kRolloutKernelIsa = {"attnrl_rollout_kernel_isa", MetricType::kGauge,
                                                 "Instruction set of the worker's own kernels",
                                                 labels::kIsa};
inline constexpr MetricName kRolloutPreemptionsTotal = {
    "attnrl_rollout_preemptions_total", MetricType::kCounter,
    "Sequences that gave their blocks back for want of room"};
inline constexpr MetricName kRolloutLateLeasesTotal = {
    "attnrl_rollout_late_leases_total", MetricType::kCounter,
    "Leases given back because the item's time was up"};
inline constexpr MetricName kRolloutPolicyVersion = {"attnrl_rollout_policy_version",
                                                     MetricType::kGauge, "Weights in use"};
inline constexpr MetricName kRolloutWeightSyncSeconds = {
    "attnrl_rollout_weight_sync_seconds", MetricType::kHistogram,
    "Time to fetch a weight version and put it in place", labels::kResult, kSecondsBuckets};
inline constexpr MetricName kRolloutResponseTokens = {
    "attnrl_rollout_response_tokens", MetricType::kHistogram, "Length of finished responses",
    labels::kFinish, kTokenBuckets};

// ---- Verifier ----
inline constexpr MetricName kVerifierResultsTotal = {
    "attnrl_verifier_results_total", MetricType::kCounter, "Graded responses", labels::kVerdict};
inline constexpr MetricName kVerifierDurationSeconds = {
    "attnrl_verifier_duration_seconds", MetricType::kHistogram, "Time to grade one response",
    labels::kNone, kSecondsBuckets};
inline constexpr MetricName kVerifierInflight = {"attnrl_verifier_inflight", MetricType::kGauge,
                                                 "Responses being graded or queued"};

// ---- Learner ----
inline constexpr MetricName kLearnerStepPhaseSeconds = {
    "attnrl_learner_step_phase_seconds", MetricType::kHistogram, "Time of a step by phase",
    labels::kPhase, kSecondsBuckets};
inline constexpr MetricName kLearnerSampleStalenessSteps = {
    "attnrl_learner_sample_staleness_steps", MetricType::kHistogram,
    "Trained version minus the version that sampled, per sample", labels::kNone, kStalenessBuckets};
inline constexpr MetricName kLearnerWeightVersion = {
    "attnrl_learner_weight_version", MetricType::kGauge, "Newest published weight version"};
inline constexpr MetricName kLearnerRewardMean = {"attnrl_learner_reward_mean", MetricType::kGauge,
                                                  "Mean reward of the last step's leaves"};
inline constexpr MetricName kLearnerPolicyEntropyNats = {
    "attnrl_learner_policy_entropy_nats", MetricType::kGauge, "Entropy per token in the last step"};
inline constexpr MetricName kLearnerPolicyKlNats = {
    "attnrl_learner_policy_kl_nats", MetricType::kGauge,
    "KL to the reference model per token in the last step"};
inline constexpr MetricName kLearnerClipRatio = {
    "attnrl_learner_clip_ratio", MetricType::kGauge,
    "Share of the last step's tokens that were clipped", labels::kSide};
inline constexpr MetricName kLearnerImportanceRatioMax = {
    "attnrl_learner_importance_ratio_max", MetricType::kGauge,
    "Largest ratio of policy to behaviour probability in the last step"};
inline constexpr MetricName kLearnerImportanceMean = {
    "attnrl_learner_importance_mean", MetricType::kGauge, "Mean importance ratio, last step"};
inline constexpr MetricName kLearnerImportanceMax = {
    "attnrl_learner_importance_max", MetricType::kGauge, "Largest importance ratio, last step"};
inline constexpr MetricName kLearnerImportanceTruncatedRatio = {
    "attnrl_learner_importance_truncated_ratio", MetricType::kGauge, "Share above the cap"};
inline constexpr MetricName kLearnerEffectiveSamplesRatio = {
    "attnrl_learner_effective_samples_ratio", MetricType::kGauge, "Effective samples, last step"};
inline constexpr MetricName kLearnerBehaviourGapNats = {
    "attnrl_learner_behaviour_gap_nats", MetricType::kGauge,
    "KL of behaviour policy to learner, last step", labels::kEstimator};
inline constexpr MetricName kLearnerGradNorm = {"attnrl_learner_grad_norm", MetricType::kGauge,
                                                "Gradient norm before clipping, last step"};
inline constexpr MetricName kLearnerLearningRate = {"attnrl_learner_learning_rate",
                                                    MetricType::kGauge, "Learning rate, last step"};
inline constexpr MetricName kLearnerLoss = {"attnrl_learner_loss", MetricType::kGauge,
                                            "Loss of the last step"};
inline constexpr MetricName kLearnerTokensTotal = {
    "attnrl_learner_tokens_total", MetricType::kCounter,
    "Tokens that the policy was differentiated at; a shared prefix once"};
inline constexpr MetricName kLearnerNonfiniteStepsTotal = {
    "attnrl_learner_nonfinite_steps_total", MetricType::kCounter,
    "Optimizer steps skipped because a number was not finite"};

// In the order above.
inline constexpr auto kAllMetrics =
    std::to_array<const MetricName*>({&kBuildInfo,
                                      &kGpuMemoryBytes,
                                      &kDevicePeakFlops,
                                      &kModelFlopsTotal,
                                      &kRpcRequestsTotal,
                                      &kRpcDurationSeconds,
                                      &kRpcRejectedTotal,
                                      &kRpcClientRequestsTotal,
                                      &kRpcClientRetriesTotal,
                                      &kRpcMessageBytes,
                                      &kRpcPlaintext,
                                      &kRpcCertificateExpiry,
                                      &kStorageFreeBytes,
                                      &kLastFailureTimestampSeconds,
                                      &kSchedulerOpenItems,
                                      &kSchedulerOldestPendingSeconds,
                                      &kSchedulerWorkers,
                                      &kSchedulerLeases,
                                      &kSchedulerLeaseEventsTotal,
                                      &kSchedulerFencedWritesTotal,
                                      &kSchedulerUngradableTotal,
                                      &kSchedulerBatchesTotal,
                                      &kSchedulerBatchesLeft,
                                      &kSchedulerLastCommitTimestampSeconds,
                                      &kSchedulerCheckpointTimestampSeconds,
                                      &kSchedulerBatchProblems,
                                      &kSchedulerValidSamples,
                                      &kSchedulerBranchGainRatio,
                                      &kSchedulerInitialGainRatio,
                                      &kSchedulerFciMean,
                                      &kSchedulerFilterRunningMean,
                                      &kSchedulerProblemsTotal,
                                      &kSchedulerBranchPointsTotal,
                                      &kSchedulerResponsesTotal,
                                      &kSchedulerVerdictsTotal,
                                      &kSchedulerDbCommitSeconds,
                                      &kSchedulerStore,
                                      &kSchedulerStoreReconnectsTotal,
                                      &kSchedulerEpoch,
                                      &kRolloutTokensTotal,
                                      &kRolloutDecodeStepSeconds,
                                      &kRolloutBatchSlots,
                                      &kRolloutKvBlocks,
                                      &kRolloutKernelIsa,
                                      &kRolloutPreemptionsTotal,
                                      &kRolloutLateLeasesTotal,
                                      &kRolloutPolicyVersion,
                                      &kRolloutWeightSyncSeconds,
                                      &kRolloutResponseTokens,
                                      &kVerifierResultsTotal,
                                      &kVerifierDurationSeconds,
                                      &kVerifierInflight,
                                      &kLearnerStepPhaseSeconds,
                                      &kLearnerSampleStalenessSteps,
                                      &kLearnerWeightVersion,
                                      &kLearnerRewardMean,
                                      &kLearnerPolicyEntropyNats,
                                      &kLearnerPolicyKlNats,
                                      &kLearnerClipRatio,
                                      &kLearnerImportanceRatioMax,
                                      &kLearnerImportanceMean,
                                      &kLearnerImportanceMax,
                                      &kLearnerImportanceTruncatedRatio,
                                      &kLearnerEffectiveSamplesRatio,
                                      &kLearnerBehaviourGapNats,
                                      &kLearnerGradNorm,
                                      &kLearnerLearningRate,
                                      &kLearnerLoss,
                                      &kLearnerTokensTotal,
                                      &kLearnerNonfiniteStepsTotal});

}  // namespace attnrl::observe
