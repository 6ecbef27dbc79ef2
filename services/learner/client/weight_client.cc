// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/weight_client.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/rpc/call_group.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/client/host_folder.h"
#include "services/learner/client/piece_wire.h"
#include "services/learner/client/version_receiver.h"

namespace attnrl::learner {
namespace {

constexpr absl::Duration kFirstWait = absl::Milliseconds(50);
// A version that came damaged this often is given up; once, it may have been the transport.
constexpr int kDamagedTries = 2;
// Of other workers: without a byte for so long one is given up, and after so many of them only the
// learner is asked.
constexpr absl::Duration kRelayDeadline = absl::Seconds(20);
constexpr size_t kMaxFailed = 4;
// Of one call, so that a request is short.
constexpr size_t kMaxChunks = 4096;
// How often one that waits for another process's fetch looks whether it has ended.
constexpr absl::Duration kLockPoll = absl::Milliseconds(50);
// Of chunks that nobody has read yet: enough for 10 Gbit a second at 6 ms, and little memory.
constexpr int kWindowBytes = 8 << 20;

absl::Status AcceptChunk(const v1::VersionChunk& chunk, size_t index, VersionReceiver& receiver) {
  if (chunk.difference().empty()) return receiver.Filled(index, chunk.crc32c());
  return receiver.Difference(index, chunk.difference(), chunk.crc32c());
}

class StubWeightClient final : public WeightClient {
 public:
  StubWeightClient(std::shared_ptr<grpc::Channel> channel, const WeightClientOptions& options)
      : options_(options), learner_(std::move(channel)) {}

  using Data = absl::StatusOr<std::shared_ptr<const VersionData>>;
  Data Fetch(const Version& version, const VersionData* base, absl::Duration deadline) override;
  uint64_t received_bytes() const override { return received_; }
  void Cancel() override { calls_.Cancel(); }

 private:
  // Who sends the chunks of a version.
  struct Route {
    std::optional<std::string> source = {};  // empty: the learner; nullopt: it is to be asked
    std::vector<std::string> failed = {};

    bool relayed() const { return source.has_value() && !source->empty(); }
  };

  absl::Status Locate(const Version& version, absl::Duration deadline, Route* route,
                      VersionReceiver& receiver);
  absl::Status FetchSome(const Version& version, const VersionData* base, absl::Duration deadline,
                         Route* route, VersionReceiver& receiver);
  absl::Status Receive(grpc::Channel& channel, const v1::FetchVersionRequest& request,
                       const std::vector<size_t>& chunks, absl::Duration deadline,
                       VersionReceiver& receiver);

  Data FetchAlone(const Version& version, const VersionData* base, absl::Duration deadline);
  Data FetchForHost(const HostFolder& folder, const Version& version, const VersionData* base,
                    absl::Duration deadline);
  Data OpenShared(const HostFolder& folder, const Version& version);

  const WeightClientOptions options_;
  const std::shared_ptr<grpc::Channel> learner_;
  std::atomic<uint64_t> received_ = 0;
  rpc::CallGroup calls_;
};

absl::Status Cancelled() { return absl::CancelledError("the weight client was cancelled"); }

v1::FetchVersionRequest RequestFor(const Version& version) {
  v1::FetchVersionRequest request;
  request.mutable_version()->set_number(version.number);
  request.mutable_version()->set_digest(version.digest);
  return request;
}

std::string NameOf(const v1::FetchVersionRequest& request) {
  return absl::StrCat("W(", request.version().number(), ")");
}

// Asks the learner what the version consists of, and who sends it.
absl::Status StubWeightClient::Locate(const Version& version, absl::Duration deadline, Route* route,
                                      VersionReceiver& receiver) {
  v1::FetchVersionRequest request = RequestFor(version);
  request.set_manifest_only(true);
  if (options_.held != nullptr && route->failed.size() < kMaxFailed) {
    request.set_serves_at(static_cast<uint32_t>(options_.serves_at));
    for (const std::string& address : route->failed) request.add_failed(address);
  }
  const rpc::Call call(calls_, deadline);
  const auto reader = v1::WeightStore::NewStub(learner_)->Fetch(call.context(), request);
  std::optional<v1::VersionManifest> manifest;
  std::string source;
  v1::VersionPiece piece;
  while (reader->Read(&piece)) {
    if (piece.has_manifest()) manifest = std::move(*piece.mutable_manifest());
    if (piece.has_elsewhere()) source = piece.elsewhere().address();
  }
  ATTNRL_RETURN_IF_ERROR(
      rpc::FromGrpc(reader->Finish(), absl::StrCat("fetch of ", NameOf(request))));
  if (!manifest) return absl::DataLossError(absl::StrCat(NameOf(request), ": without a manifest"));
  ATTNRL_RETURN_IF_ERROR(receiver.Manifest(FromProto(*manifest), manifest->total_bytes()));
  route->source = std::move(source);
  return absl::OkStatus();
}

// Chunks that are missing, as many as one call brings.
absl::Status StubWeightClient::FetchSome(const Version& version, const VersionData* base,
                                         absl::Duration deadline, Route* route,
                                         VersionReceiver& receiver) {
  if (!route->source) ATTNRL_RETURN_IF_ERROR(Locate(version, deadline, route, receiver));
  const std::vector<size_t> chunks = receiver.Missing(kMaxChunks);
  if (chunks.empty()) return absl::OkStatus();
  v1::FetchVersionRequest request = RequestFor(version);
  for (const size_t chunk : chunks) request.mutable_chunks()->append(receiver.ChunkDigest(chunk));
  if (base != nullptr) {
    request.mutable_base()->set_number(base->version.number);
    request.mutable_base()->set_digest(base->version.digest);
  }
  if (!route->relayed()) return Receive(*learner_, request, chunks, deadline, receiver);
  ATTNRL_ASSIGN_OR_RETURN(const auto relay,
                          rpc::Connect(*route->source, {.security = options_.security,
                                                        .peer = rpc::Role::kRolloutWorker,
                                                        .window_bytes = kWindowBytes}));
  return Receive(*relay, request, chunks, std::min(deadline, kRelayDeadline), receiver);
}

absl::Status StubWeightClient::Receive(grpc::Channel& channel,
                                       const v1::FetchVersionRequest& request,
                                       const std::vector<size_t>& chunks, absl::Duration deadline,
                                       VersionReceiver& receiver) {
  const rpc::Call call(calls_, deadline);
  const auto reader = StartFetch(channel, call.context(), request);
  absl::Status accepted;
  grpc::ByteBuffer message;
  v1::VersionChunk chunk;
  size_t count = 0;
  for (; accepted.ok() && reader->Read(&message); ++count) {
    if (count == chunks.size()) {
      accepted = absl::DataLossError(absl::StrCat(NameOf(request), ": more chunks than asked for"));
      break;
    }
    const std::span<char> room = receiver.Room(chunks[count]);
    accepted = ReadChunk(&message, room, &chunk);
    if (!accepted.ok()) break;
    received_ += chunk.difference().empty() ? room.size() : chunk.difference().size();
    accepted = AcceptChunk(chunk, chunks[count], receiver);
  }
  if (!accepted.ok()) call.Cancel();
  const grpc::Status finished = reader->Finish();
  const absl::Status settled = receiver.Settle();
  if (!accepted.ok()) return accepted;
  ATTNRL_RETURN_IF_ERROR(settled);
  ATTNRL_RETURN_IF_ERROR(rpc::FromGrpc(finished, absl::StrCat("fetch of ", NameOf(request))));
  if (count == chunks.size()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(NameOf(request), " was sent only in part"));
}

StubWeightClient::Data StubWeightClient::FetchAlone(const Version& version, const VersionData* base,
                                                    absl::Duration deadline) {
  Clock& clock = Clock::Real();
  absl::Duration end = clock.Monotonic() + deadline;
  VersionReceiver receiver(version, options_.max_version_bytes, base,
                           [this](std::shared_ptr<GrowingVersion> begun) {
                             if (options_.held != nullptr) options_.held->Add(std::move(begun));
                           });
  Backoff backoff(kFirstWait, options_.max_backoff);
  Route route;
  int damaged = 0;
  while (true) {
    const absl::Duration left = end - clock.Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "no data of W(", version.number, ") arrived within ", absl::FormatDuration(deadline)));
    }
    const size_t before = receiver.ready();
    // What came damaged may have been the difference: the next try is without.
    const VersionData* const known = damaged == 0 ? base : nullptr;
    const absl::Status fetched = FetchSome(version, known, left, &route, receiver);
    if (receiver.complete()) return receiver.Take();
    const bool progress = receiver.ready() > before;
    if (progress) {
      backoff.Reset();
      end = clock.Monotonic() + deadline;
    }
    if (fetched.ok()) continue;
    if (calls_.cancelled()) return Cancelled();
    if (absl::IsDeadlineExceeded(fetched) && progress) continue;
    if (route.relayed()) {
      observe::LogWarning("another worker didn't send its weights; asking the learner again",
                          {{"version", version.number},
                           {"worker", *route.source},
                           {"reason", std::string(fetched.message())}});
      route.failed.push_back(*std::exchange(route.source, std::nullopt));
      continue;
    }
    route.source.reset();
    if (absl::IsDataLoss(fetched) && ++damaged >= kDamagedTries) return fetched;
    if (absl::IsDeadlineExceeded(fetched)) continue;
    if (!absl::IsDataLoss(fetched) && !absl::IsUnavailable(fetched)) return fetched;
    const absl::Duration wait = std::min(backoff.Next(), end - clock.Monotonic());
    if (!calls_.WaitToRetry("WeightStore/Fetch", wait)) return Cancelled();
  }
}

// What this machine's processes have in common is what others get from here, too.
StubWeightClient::Data StubWeightClient::OpenShared(const HostFolder& folder,
                                                    const Version& version) {
  Data data = folder.Open(version);
  if (data.ok() && options_.held != nullptr) options_.held->Add(GrowingVersion::Whole(*data));
  return data;
}

// `folder` is locked for the version.
StubWeightClient::Data StubWeightClient::FetchForHost(const HostFolder& folder,
                                                      const Version& version,
                                                      const VersionData* base,
                                                      absl::Duration deadline) {
  Data shared = OpenShared(folder, version);  // another one may just have ended
  if (shared.ok()) return shared;
  ATTNRL_ASSIGN_OR_RETURN(auto fetched, FetchAlone(version, base, deadline));
  const absl::Status kept = folder.Keep(*fetched);
  shared = kept.ok() ? OpenShared(folder, version) : kept;
  if (shared.ok()) return shared;
  observe::LogWarning("weights are not shared with this machine's other processes",
                      {{"version", version.number}, {"reason", shared.status()}});
  return fetched;
}

StubWeightClient::Data StubWeightClient::Fetch(const Version& version, const VersionData* base,
                                               absl::Duration deadline) {
  if (options_.host_folder.empty() || version.digest.empty()) {
    return FetchAlone(version, base, deadline);
  }
  const HostFolder folder(options_.host_folder);
  Clock& clock = Clock::Real();
  const absl::Duration end = clock.Monotonic() + deadline;
  while (clock.Monotonic() < end) {
    if (calls_.cancelled()) return Cancelled();
    Data shared = OpenShared(folder, version);
    if (shared.ok()) return shared;
    ATTNRL_ASSIGN_OR_RETURN(const std::optional<storage::FileLock> lock, folder.TryLock(version));
    if (lock) return FetchForHost(folder, version, base, deadline);
    clock.Sleep(kLockPoll);
  }
  observe::LogWarning("another process of this machine has not fetched its weights in time",
                      {{"version", version.number}, {"folder", options_.host_folder}});
  return FetchAlone(version, base, deadline);
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightClient>> ConnectWeightStore(
    const std::string& address, const WeightClientOptions& options) {
  ATTNRL_ASSIGN_OR_RETURN(auto channel, rpc::Connect(address, {.security = options.security,
                                                               .peer = rpc::Role::kLearner,
                                                               .window_bytes = kWindowBytes}));
  return std::make_unique<StubWeightClient>(std::move(channel), options);
}

}  // namespace attnrl::learner
