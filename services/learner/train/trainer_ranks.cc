// SPDX-License-Identifier: Apache-2.0
// What rank 0's trainer makes those of the other ranks do.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "services/learner/train/batch_bytes.h"
#include "services/learner/train/library_error.h"
#include "services/learner/train/trainer.h"

namespace attnrl::learner {
namespace {

// The first byte of what rank 0 sends.
constexpr char kTrain = 't';       // a batch
constexpr char kCopy = 'c';        // nothing: a copy begins
constexpr char kFinishCopy = 'f';  // nothing
constexpr char kAssign = 'a';      // a StateTensor, from rank 0
constexpr char kResume = 'r';      // counters
constexpr char kKeepAlive = 'k';   // nothing
constexpr char kRelease = 'e';     // kFinished: the run has ended; or nothing
constexpr char kFinished[] = "finished";

std::string Argument(StateTensor which) { return std::string(1, static_cast<char>(which)); }

std::string CountersBytes(const TrainerCounters& counters) {
  return {reinterpret_cast<const char*>(&counters), sizeof(counters)};
}

TrainerCounters ParseCounters(const std::string& bytes) {
  TrainerCounters counters;
  std::memcpy(&counters, bytes.data(), std::min(bytes.size(), sizeof(counters)));
  return counters;
}

}  // namespace

void Trainer::Lead(char command, const std::string& argument) {
  RankGroup* const group = parameters_.group();
  if (group == nullptr || group->rank() != 0) return;
  BroadcastBytes(*group, absl::StrCat(std::string(1, command), argument));
}

absl::Status Trainer::Follow(const std::function<bool()>& abandon) {
  while (true) {
    std::string message;
    try {
      message = BroadcastBytes(*parameters_.group(), "");
    } catch (const std::exception& error) {
      return LibraryError("waiting for rank 0's next command", error);
    }
    if (message.empty()) return absl::DataLossError("an empty command from rank 0");
    if (message[0] == kRelease) {
      if (message.substr(1) == kFinished) return EndGroup();
      return absl::UnavailableError("rank 0 was stopped");
    }
    // Where all ranks are stopped together, rank 0 still writes the last checkpoint, with all.
    const bool more = message[0] == kTrain || message[0] == kKeepAlive;
    if (more && abandon && abandon()) return absl::CancelledError("this rank was stopped");
    ATTNRL_RETURN_IF_ERROR(Obey(message[0], message.substr(1)));
  }
}

absl::Status Trainer::Obey(char command, const std::string& argument) {
  switch (command) {
    case kTrain: {
      ATTNRL_ASSIGN_OR_RETURN(const scheduler::TrainingBatch batch, ParseBatchBytes(argument));
      return TrainTogether(batch, nullptr).status();
    }
    case kCopy:
      return BeginCopy(nullptr);
    case kFinishCopy:
      return FinishCopy();
    case kAssign:
      return Assign(static_cast<StateTensor>(argument.at(0)), {}, nullptr);
    case kResume:
      return Resume(ParseCounters(argument));
    case kKeepAlive:
      return KeepAlive();
    default:
      return absl::DataLossError("an unknown command from rank 0");
  }
}

absl::StatusOr<scheduler::TrainStatistics> Trainer::Train(const scheduler::TrainingBatch& batch,
                                                          const std::function<bool()>& abandon) {
  if (parameters_.group() != nullptr) {
    try {
      Lead(kTrain, BatchBytes(batch));
    } catch (const std::exception& error) {
      return LibraryError("handing out a batch", error);
    }
  }
  return TrainTogether(batch, abandon);
}

at::Tensor& Trainer::Flat(StateTensor which) {
  switch (which) {
    case StateTensor::kFirstMoment:
      return parameters_.first_moment();
    case StateTensor::kSecondMoment:
      return parameters_.second_moment();
    case StateTensor::kMasters:
      break;
  }
  return parameters_.values();
}

absl::Status Trainer::BeginCopy(StateSink* sink) {
  try {
    Lead(kCopy, "");
    copy_ = {.sink = sink};
    copy_time_ = absl::ZeroDuration();
    HandOver(/*all=*/false);
  } catch (const std::exception& error) {
    return LibraryError("copying the trainer's state", error);
  }
  return absl::OkStatus();
}

absl::Status Trainer::FinishCopy() {
  if (!copying()) return absl::OkStatus();
  try {
    Lead(kFinishCopy, "");
    HandOver(/*all=*/true);
  } catch (const std::exception& error) {
    return LibraryError("copying the trainer's state", error);
  }
  return absl::OkStatus();
}

void Trainer::HandOver(bool all) {
  if (!copying()) return;
  const absl::Duration start = Clock::Real().Monotonic();
  const std::vector<FlatLayout::Bucket> buckets = parameters_.layout().BucketsByPlace();
  const size_t end = EndOfHandOver(buckets, all);
  for (size_t& piece = copy_->next; piece < end; ++piece) {
    const StateTensor which = kStateTensors[piece / buckets.size()];
    parameters_.ForEachIn(buckets[piece % buckets.size()], Flat(which),
                          [&](const std::string& name, const at::Tensor& tensor) {
                            copy_->sink->Take(which, name, tensor);
                          });
  }
  if (end == kStateTensors.size() * buckets.size()) copy_.reset();
  copy_time_ += Clock::Real().Monotonic() - start;
}

size_t Trainer::EndOfHandOver(const std::vector<FlatLayout::Bucket>& buckets, bool all) const {
  const size_t pieces = kStateTensors.size() * buckets.size();
  if (all) return pieces;
  size_t end = copy_->next;
  for (int64_t room = copy_->sink != nullptr ? copy_->sink->Room() : 0; end < pieces; ++end) {
    room -= buckets[end % buckets.size()].count * static_cast<int64_t>(sizeof(float));
    if (room < 0) break;
  }
  if (parameters_.group() == nullptr) return end;
  const at::Tensor same = at::full({1}, static_cast<int64_t>(end), at::kLong);
  Broadcast(*parameters_.group(), same);
  return static_cast<size_t>(same.item<int64_t>());
}

absl::Status Trainer::Assign(StateTensor which, const Parameters::Shapes& shapes,
                             const Parameters::Read& read) {
  const bool leads = parameters_.layout().sharding().rank == 0;
  if (leads && !parameters_.Fits(shapes)) {
    return absl::InvalidArgumentError("tensors that differ from the model's");
  }
  try {
    Lead(kAssign, Argument(which));
    return parameters_.Assign(read, Flat(which));
  } catch (const std::exception& error) {
    return LibraryError("handing out the trainer's state", error);
  }
}

absl::Status Trainer::Resume(const TrainerCounters& counters) {
  try {
    Lead(kResume, CountersBytes(counters));
    counters_ = counters;
    parameters_.Refresh();
  } catch (const std::exception& error) {
    return LibraryError("handing out the weights", error);
  }
  return absl::OkStatus();
}

absl::Status Trainer::KeepAlive() {
  try {
    Lead(kKeepAlive, "");
    HandOver(/*all=*/false);
  } catch (const std::exception& error) {
    return LibraryError("waiting for a batch", error);
  }
  return absl::OkStatus();
}

absl::Status Trainer::Release(bool finished) {
  try {
    Lead(kRelease, finished ? kFinished : "");
  } catch (const std::exception& error) {
    return LibraryError("ending the other ranks", error);
  }
  return finished ? EndGroup() : absl::OkStatus();
}

absl::Status Trainer::EndGroup() {
  if (parameters_.group() == nullptr) return absl::OkStatus();
  try {
    parameters_.group()->End();
  } catch (const std::exception& error) {
    return LibraryError("parting from the other ranks", error);
  }
  return absl::OkStatus();
}

}  // namespace attnrl::learner
