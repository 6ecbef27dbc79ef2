// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/weight_client.h"

#include <algorithm>
#include <atomic>
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

VersionData FromProto(const v1::VersionManifest& manifest) {
  VersionData data;
  data.version = {manifest.version().number(), manifest.version().digest()};
  for (const v1::TensorInfo& tensor : manifest.tensors()) {
    data.tensors.push_back({.name = tensor.name(),
                            .dtype = tensor.dtype(),
                            .shape = {tensor.shape().begin(), tensor.shape().end()},
                            .size = tensor.bytes()});
  }
  return data;
}

absl::Status AcceptChunk(const v1::VersionChunk& chunk, VersionReceiver& receiver) {
  if (!chunk.difference().empty()) {
    return receiver.Difference(chunk.offset(), chunk.difference(), chunk.crc32c());
  }
  return receiver.Chunk(chunk.offset(), chunk.data(), chunk.crc32c());
}

absl::Status Accept(const v1::VersionPiece& piece, VersionReceiver& receiver,
                    std::string* elsewhere) {
  switch (piece.piece_case()) {
    case v1::VersionPiece::kManifest:
      return receiver.Manifest(FromProto(piece.manifest()), piece.manifest().total_bytes());
    case v1::VersionPiece::kChunk:
      return AcceptChunk(piece.chunk(), receiver);
    case v1::VersionPiece::kElsewhere:
      *elsewhere = piece.elsewhere().address();
      return absl::OkStatus();
    case v1::VersionPiece::PIECE_NOT_SET:
      break;
  }
  return absl::DataLossError("a piece of a version has an unknown kind");
}

class StubWeightClient final : public WeightClient {
 public:
  StubWeightClient(std::shared_ptr<grpc::Channel> channel, const WeightClientOptions& options)
      : options_(options), stub_(v1::WeightStore::NewStub(std::move(channel))) {}

  absl::StatusOr<std::shared_ptr<const VersionData>> Fetch(const Version& version,
                                                           const VersionData* base,
                                                           absl::Duration deadline) override;
  uint64_t received_bytes() const override { return received_; }
  void Cancel() override { calls_.Cancel(); }

 private:
  // Where a version is fetched from.
  struct Route {
    std::string source = {};  // empty: the learner
    std::vector<std::string> failed = {};
    std::string elsewhere = {};  // what the learner named
  };

  absl::Status FetchOnce(const Version& version, const VersionData* base, absl::Duration deadline,
                         Route* route, VersionReceiver& receiver);
  absl::Status Receive(v1::WeightStore::Stub& stub, const v1::FetchVersionRequest& request,
                       absl::Duration deadline, Route* route, VersionReceiver& receiver);

  const WeightClientOptions options_;
  const std::unique_ptr<v1::WeightStore::Stub> stub_;
  std::atomic<uint64_t> received_ = 0;
  rpc::CallGroup calls_;
};

absl::Status Cancelled() { return absl::CancelledError("the weight client was cancelled"); }

absl::Status StubWeightClient::FetchOnce(const Version& version, const VersionData* base,
                                         absl::Duration deadline, Route* route,
                                         VersionReceiver& receiver) {
  v1::FetchVersionRequest request;
  request.mutable_version()->set_number(version.number);
  request.mutable_version()->set_digest(version.digest);
  request.set_offset(receiver.offset());
  if (base != nullptr) {
    request.mutable_base()->set_number(base->version.number);
    request.mutable_base()->set_digest(base->version.digest);
  }
  if (!route->source.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(auto channel,
                            rpc::Connect(route->source, {.security = options_.security,
                                                         .peer = rpc::Role::kRolloutWorker}));
    const auto stub = v1::WeightStore::NewStub(std::move(channel));
    return Receive(*stub, request, std::min(deadline, kRelayDeadline), route, receiver);
  }
  if (options_.held != nullptr && route->failed.size() < kMaxFailed) {
    request.set_serves_at(static_cast<uint32_t>(options_.serves_at));
    for (const std::string& address : route->failed) request.add_failed(address);
  }
  return Receive(*stub_, request, deadline, route, receiver);
}

absl::Status StubWeightClient::Receive(v1::WeightStore::Stub& stub,
                                       const v1::FetchVersionRequest& request,
                                       absl::Duration deadline, Route* route,
                                       VersionReceiver& receiver) {
  const rpc::Call call(calls_, deadline);
  const auto reader = stub.Fetch(call.context(), request);
  absl::Status accepted;
  v1::VersionPiece piece;
  while (accepted.ok() && reader->Read(&piece)) {
    received_ += piece.chunk().data().size() + piece.chunk().difference().size();
    accepted = Accept(piece, receiver, &route->elsewhere);
  }
  if (!accepted.ok()) call.Cancel();
  const grpc::Status finished = reader->Finish();
  if (!accepted.ok()) return accepted;
  const std::string name = absl::StrCat("W(", request.version().number(), ")");
  ATTNRL_RETURN_IF_ERROR(rpc::FromGrpc(finished, absl::StrCat("fetch of ", name)));
  if (!route->elsewhere.empty() || receiver.complete()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(name, " was sent only in part"));
}

absl::StatusOr<std::shared_ptr<const VersionData>> StubWeightClient::Fetch(
    const Version& version, const VersionData* base, absl::Duration deadline) {
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
    const uint64_t before = receiver.offset();
    // What came damaged may have been the difference: the next try is without.
    const VersionData* const known = damaged == 0 ? base : nullptr;
    absl::Status fetched = FetchOnce(version, known, left, &route, receiver);
    if (fetched.ok() && !route.elsewhere.empty()) {
      route.source = std::exchange(route.elsewhere, "");
      continue;
    }
    if (fetched.ok()) {
      auto data = receiver.Take();
      if (data.ok()) return data;
      fetched = data.status();
    }
    const bool progress = receiver.offset() > before;
    if (progress) {
      backoff.Reset();
      end = clock.Monotonic() + deadline;
    }
    if (!route.source.empty()) {
      if (calls_.cancelled()) return Cancelled();
      if (absl::IsDeadlineExceeded(fetched) && progress) continue;
      observe::LogWarning("another worker didn't send its weights; asking the learner again",
                          {{"version", version.number},
                           {"worker", route.source},
                           {"reason", std::string(fetched.message())}});
      route.failed.push_back(std::exchange(route.source, ""));
      continue;
    }
    if (absl::IsDataLoss(fetched) && ++damaged >= kDamagedTries) return fetched;
    if (absl::IsDeadlineExceeded(fetched)) continue;
    if (!absl::IsDataLoss(fetched) && !absl::IsUnavailable(fetched)) return fetched;
    const absl::Duration wait = std::min(backoff.Next(), end - clock.Monotonic());
    if (!calls_.WaitToRetry("WeightStore/Fetch", wait)) return Cancelled();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightClient>> ConnectWeightStore(
    const std::string& address, const WeightClientOptions& options) {
  ATTNRL_ASSIGN_OR_RETURN(auto channel, rpc::Connect(address, {.security = options.security,
                                                               .peer = rpc::Role::kLearner}));
  return std::make_unique<StubWeightClient>(std::move(channel), options);
}

}  // namespace attnrl::learner
