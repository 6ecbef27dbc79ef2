// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace attnrl::observe {

// The labels that metrics have, with the closed list of values of each, and the buckets of
// histograms. metric_names.h puts them together.
struct MetricLabel {
  std::string_view name;
  std::span<const std::string_view> values;
};

namespace label_values {
using std::string_view;
inline constexpr string_view kVersion[] = {"0.1.0"};
inline constexpr string_view kCuda[] = {"none", "13"};
inline constexpr string_view kServices[] = {"BranchScheduler", "WeightStore", "Verifier"};
inline constexpr string_view kMethods[] = {"Work",   "RegisterLearner", "NextBatch", "CommitBatch",
                                           "Status", "WatchStatus",     "Pause",     "Resume",
                                           "Drain",  "Fetch",           "Verify"};
inline constexpr string_view kCodes[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
inline constexpr string_view kRejections[] = {"authz", "deadline", "overload"};
inline constexpr string_view kDirections[] = {"request", "response"};
inline constexpr string_view kLeaseEvents[] = {"granted",  "renewed",   "completed", "expired",
                                               "returned", "duplicate", "adopted"};
inline constexpr string_view kFenceReasons[] = {"epoch", "attempt"};
inline constexpr string_view kStores[] = {"sqlite", "postgres"};
inline constexpr string_view kKept[] = {"all", "filtered", "zero_advantage", "ungradable"};
inline constexpr string_view kPointOrigins[] = {"threshold", "fill", "duplicate", "chosen"};
inline constexpr string_view kAnswers[] = {"yes", "no"};
inline constexpr string_view kVolumes[] = {"db", "ckpt"};
inline constexpr string_view kTokenKinds[] = {"prompt", "generated", "reused"};
inline constexpr string_view kSlotStates[] = {"used", "free"};
inline constexpr string_view kIsas[] = {"portable", "avx2", "avx512", "avx512_bf16", "amx_bf16"};
inline constexpr string_view kBlockStates[] = {"used", "free", "shared"};
inline constexpr string_view kComputingRoles[] = {"learner", "worker"};
inline constexpr string_view kResults[] = {"ok", "error"};
inline constexpr string_view kMemoryStates[] = {"used", "free"};
inline constexpr string_view kFinishReasons[] = {"stop", "length", "aborted"};
inline constexpr string_view kVerdicts[] = {"graded",  "no_answer", "unparsable",
                                            "timeout", "limit",     "crash"};
inline constexpr string_view kOutcomes[] = {"correct", "incorrect", "no_answer", "unparsable",
                                            "limit",   "timeout",   "crash"};
inline constexpr string_view kPhases[] = {"wait", "train", "publish", "checkpoint"};
inline constexpr string_view kSides[] = {"low", "high"};
inline constexpr string_view kEstimators[] = {"k1", "k3"};
}  // namespace label_values

namespace labels {
namespace v = label_values;
inline constexpr std::span<const MetricLabel> kNone;
inline constexpr MetricLabel kBuild[] = {{"version", v::kVersion}, {"cuda", v::kCuda}};
inline constexpr MetricLabel kMethod[] = {{"service", v::kServices}, {"method", v::kMethods}};
inline constexpr MetricLabel kMethodCode[] = {
    {"service", v::kServices}, {"method", v::kMethods}, {"code", v::kCodes}};
inline constexpr MetricLabel kCode[] = {{"code", v::kCodes}};
inline constexpr MetricLabel kRejection[] = {{"service", v::kServices}, {"reason", v::kRejections}};
inline constexpr MetricLabel kTarget[] = {{"target", v::kServices}, {"method", v::kMethods}};
inline constexpr MetricLabel kTargetCode[] = {
    {"target", v::kServices}, {"method", v::kMethods}, {"code", v::kCodes}};
inline constexpr MetricLabel kMessage[] = {
    {"service", v::kServices}, {"method", v::kMethods}, {"direction", v::kDirections}};
inline constexpr MetricLabel kLeaseEvent[] = {{"event", v::kLeaseEvents}};
inline constexpr MetricLabel kFenceReason[] = {{"reason", v::kFenceReasons}};
inline constexpr MetricLabel kStore[] = {{"kind", v::kStores}};
inline constexpr MetricLabel kKeptProblems[] = {{"kept", v::kKept}};
inline constexpr MetricLabel kPointOrigin[] = {{"origin", v::kPointOrigins}};
inline constexpr MetricLabel kExpanded[] = {{"expanded", v::kAnswers}};
inline constexpr MetricLabel kVolume[] = {{"volume", v::kVolumes}};
inline constexpr MetricLabel kTokenKind[] = {{"kind", v::kTokenKinds}};
inline constexpr MetricLabel kSlotState[] = {{"state", v::kSlotStates}};
inline constexpr MetricLabel kGpuMemory[] = {{"state", v::kMemoryStates}};
inline constexpr MetricLabel kIsa[] = {{"isa", v::kIsas}};
inline constexpr MetricLabel kBlockState[] = {{"state", v::kBlockStates}};
inline constexpr MetricLabel kComputingRole[] = {{"role", v::kComputingRoles}};
inline constexpr MetricLabel kResult[] = {{"result", v::kResults}};
inline constexpr MetricLabel kFinish[] = {{"finish_reason", v::kFinishReasons}};
inline constexpr MetricLabel kVerdict[] = {{"status", v::kVerdicts}};
inline constexpr MetricLabel kOutcome[] = {{"verdict", v::kOutcomes}};
inline constexpr MetricLabel kPhase[] = {{"phase", v::kPhases}};
inline constexpr MetricLabel kSide[] = {{"side", v::kSides}};
inline constexpr MetricLabel kEstimator[] = {{"estimator", v::kEstimators}};
}  // namespace labels

inline constexpr double kSecondsBuckets[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                             0.5,   1,      2.5,   5,    10,    25,   60};
inline constexpr double kTokenBuckets[] = {16,   32,   64,   128,  256,   512,
                                           1024, 2048, 4096, 8192, 16384, 32768};
inline constexpr double kBytesBuckets[] = {256, 4096, 65536, 1048576, 16777216, 67108864};
inline constexpr double kStalenessBuckets[] = {0, 1, 2, 4, 8, 16};

}  // namespace attnrl::observe
