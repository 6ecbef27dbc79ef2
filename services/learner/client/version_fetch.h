// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/call_group.h"
#include "proto/attnrl/v1/weight_store.pb.h"
#include "services/learner/client/chunk_queue.h"
#include "services/learner/client/version_receiver.h"
#include "services/learner/client/weight_client.h"

namespace attnrl::learner {

// Of chunks that nobody has read yet: enough for 10 Gbit a second at 6 ms, and little memory.
inline constexpr int kWindowBytes = 8 << 20;

// What the fetches of one client have in common; outlives them.
struct FetchSetting {
  const WeightClientOptions& options;
  std::shared_ptr<grpc::Channel> learner;
  rpc::CallGroup& calls;
  std::atomic<uint64_t>& received;  // bytes
};

// The end of every call.
absl::Status FetchCancelled();

// One version on its way: asks the learner who sends it, and those for its chunks, all at the same
// time, until it is whole. One thread, and one for each source beside the first. Memory: the
// version's room, and kWindowBytes for each source.
class VersionFetch {
 public:
  // `base`: what is asked for is a difference to this; null: the bytes. `goes_on` is told of every
  // chunk, by any of the threads. All outlive this.
  VersionFetch(const FetchSetting& setting, const Version& version, const VersionData* base,
               const std::function<void()>& goes_on, const VersionReceiver::MakeRoom& room);

  // As WeightClient::Fetch. Once.
  absl::StatusOr<std::shared_ptr<const VersionData>> Run(absl::Duration deadline);

 private:
  // Asks the learner what the version consists of, and who sends it.
  absl::Status Locate(absl::Duration deadline);
  // Asks all sources for what is missing, until it is there or none of them goes on: what each
  // ended with. `left`: how long each may take to begin, at most, and `deadline` to go on.
  std::vector<absl::Status> FetchSome(absl::Duration left, absl::Duration deadline);
  absl::Status FetchFrom(size_t source, ChunkQueue& queue, absl::Duration left,
                         absl::Duration deadline);
  absl::Status Receive(size_t source, ChunkQueue& queue, grpc::Channel& channel,
                       const v1::FetchVersionRequest& request, size_t asked,
                       absl::Duration deadline, ChunkReceiver& receiver);
  // After a source went wrong: whether another attempt, elsewhere or without a base, goes on at
  // once.
  bool TakesAnotherWay(const std::string& source, const absl::Status& status);
  // What follows from what the sources ended with: whether another attempt goes on at once, and
  // what else is the reason for one.
  absl::Status Settle(const std::vector<absl::Status>& ended, bool* again);

  const FetchSetting& setting_;
  const Version& version_;
  const VersionData* base_;
  const std::function<void()>& goes_on_;
  VersionReceiver receiver_;
  // Who sends the chunks: the learner where it is empty. None: the learner is to be asked.
  std::vector<std::string> sources_;
  std::vector<std::string> failed_;
};

}  // namespace attnrl::learner
