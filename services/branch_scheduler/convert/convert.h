// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/attnrl/v1/branch_scheduler.pb.h"
#include "services/branch_scheduler/types.h"

// Between the wire's messages and the plain structs, in both directions; used by the service and by
// its clients. ToProto never fails; FromProto is INVALID_ARGUMENT, naming the field, for what a
// plain struct can't say (an unset kind, a message of no known type).
namespace attnrl::scheduler {

void ToProto(const WorkerMessage& from, v1::WorkerMessage* to);
void ToProto(const SchedulerMessage& from, v1::SchedulerMessage* to);
absl::StatusOr<WorkerMessage> FromProto(const v1::WorkerMessage& from);
absl::StatusOr<SchedulerMessage> FromProto(const v1::SchedulerMessage& from);

// Samples of a result: an empty one takes four bytes on the wire and a hundred in memory.
inline constexpr size_t kMaxResultSamples = 65'536;
// The result as messages of at most 3 MiB, which a server takes, to be sent in a row. OUT_OF_RANGE
// for more than kMaxResultSize.
absl::StatusOr<std::vector<v1::WorkerMessage>> ToParts(const ItemResult& from);
// Adds a part to what came before it of the same result (ItemResult.more). INVALID_ARGUMENT where
// it doesn't belong there, or the whole is larger than kMaxResultSize or kMaxResultSamples.
absl::Status AddPart(const v1::ItemResult& part, std::optional<ItemResult>* whole);

void ToProto(const BatchRequest& from, v1::NextBatchRequest* to);
BatchRequest FromProto(const v1::NextBatchRequest& from);
void ToProto(const TrainingSample& from, v1::TrainingSample* to);
TrainingSample FromProto(const v1::TrainingSample& from);
// Everything but the samples.
void ToProto(const TrainingBatch& from, v1::BatchHeader* to);
TrainingBatch FromProto(const v1::BatchHeader& from);
void ToProto(const BatchCommit& from, v1::CommitBatchRequest* to);
BatchCommit FromProto(const v1::CommitBatchRequest& from);
void ToProto(const CommitReply& from, v1::CommitBatchReply* to);
CommitReply FromProto(const v1::CommitBatchReply& from);

void ToProto(const RunStatus& from, v1::StatusReply* to);
RunStatus FromProto(const v1::StatusReply& from);

}  // namespace attnrl::scheduler
