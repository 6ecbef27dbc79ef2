// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/weight_client.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/status.h"
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

absl::Status Accept(const v1::VersionPiece& piece, VersionReceiver& receiver) {
  switch (piece.piece_case()) {
    case v1::VersionPiece::kManifest:
      return receiver.Manifest(FromProto(piece.manifest()), piece.manifest().total_bytes());
    case v1::VersionPiece::kChunk:
      return AcceptChunk(piece.chunk(), receiver);
    case v1::VersionPiece::PIECE_NOT_SET:
      break;
  }
  return absl::DataLossError("a piece of a version has an unknown kind");
}

class StubWeightClient final : public WeightClient {
 public:
  StubWeightClient(std::shared_ptr<grpc::Channel> channel, const WeightClientOptions& options)
      : options_(options), stub_(v1::WeightStore::NewStub(std::move(channel))) {}

  absl::StatusOr<VersionData> Fetch(const Version& version, const VersionData* base,
                                    absl::Duration deadline) override;
  absl::Status Watch(const std::function<bool(const Version&)>& announced) override;
  uint64_t received_bytes() const override { return received_; }
  void Cancel() override { calls_.Cancel(); }

 private:
  absl::Status FetchOnce(const Version& version, const VersionData* base, absl::Duration deadline,
                         VersionReceiver& receiver);
  absl::Status WatchOnce(const std::function<bool(const Version&)>& announced, bool* ended);

  const WeightClientOptions options_;
  const std::unique_ptr<v1::WeightStore::Stub> stub_;
  std::atomic<uint64_t> received_ = 0;
  rpc::CallGroup calls_;
};

absl::Status Cancelled() { return absl::CancelledError("the weight client was cancelled"); }

absl::Status StubWeightClient::FetchOnce(const Version& version, const VersionData* base,
                                         absl::Duration deadline, VersionReceiver& receiver) {
  v1::FetchVersionRequest request;
  request.mutable_version()->set_number(version.number);
  request.mutable_version()->set_digest(version.digest);
  request.set_offset(receiver.offset());
  if (base != nullptr) {
    request.mutable_base()->set_number(base->version.number);
    request.mutable_base()->set_digest(base->version.digest);
  }
  const rpc::Call call(calls_, deadline);
  const auto reader = stub_->Fetch(call.context(), request);
  absl::Status accepted;
  v1::VersionPiece piece;
  while (accepted.ok() && reader->Read(&piece)) {
    received_ += piece.chunk().data().size() + piece.chunk().difference().size();
    accepted = Accept(piece, receiver);
  }
  if (!accepted.ok()) call.Cancel();
  const grpc::Status finished = reader->Finish();
  if (!accepted.ok()) return accepted;
  ATTNRL_RETURN_IF_ERROR(rpc::FromGrpc(finished, absl::StrCat("fetch of W(", version.number, ")")));
  if (!receiver.complete()) {
    return absl::UnavailableError(absl::StrCat("W(", version.number, ") was sent only in part"));
  }
  return absl::OkStatus();
}

absl::StatusOr<VersionData> StubWeightClient::Fetch(const Version& version, const VersionData* base,
                                                    absl::Duration deadline) {
  Clock& clock = Clock::Real();
  absl::Duration end = clock.Monotonic() + deadline;
  VersionReceiver receiver(version, options_.max_version_bytes, base);
  Backoff backoff(kFirstWait, options_.max_backoff);
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
    absl::Status fetched = FetchOnce(version, known, left, receiver);
    if (fetched.ok()) {
      auto data = receiver.Take();
      if (data.ok()) return data;
      fetched = data.status();
    }
    if (receiver.offset() > before) {
      backoff.Reset();
      end = clock.Monotonic() + deadline;
    }
    if (absl::IsDataLoss(fetched) && ++damaged >= kDamagedTries) return fetched;
    if (absl::IsDeadlineExceeded(fetched)) continue;
    if (!absl::IsDataLoss(fetched) && !absl::IsUnavailable(fetched)) return fetched;
    const absl::Duration wait = std::min(backoff.Next(), end - clock.Monotonic());
    if (!calls_.WaitToRetry("WeightStore/Fetch", wait)) return Cancelled();
  }
}

absl::Status StubWeightClient::WatchOnce(const std::function<bool(const Version&)>& announced,
                                         bool* ended) {
  const rpc::Call call(calls_, absl::InfiniteDuration());
  const auto reader = stub_->Watch(call.context(), v1::WatchVersionsRequest());
  v1::VersionAnnouncement announcement;
  while (!*ended && reader->Read(&announcement)) {
    *ended = !announced({announcement.version().number(), announcement.version().digest()});
  }
  if (*ended) call.Cancel();
  const grpc::Status finished = reader->Finish();
  return *ended ? absl::OkStatus() : rpc::FromGrpc(finished, "watch of the learner's versions");
}

absl::Status StubWeightClient::Watch(const std::function<bool(const Version&)>& announced) {
  Backoff backoff(kFirstWait, options_.max_backoff);
  bool ended = false;
  do {
    const absl::Status status = WatchOnce(
        [&](const Version& version) {
          backoff.Reset();
          return announced(version);
        },
        &ended);
    if (ended) return absl::OkStatus();
    if (!status.ok() && !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
      return calls_.cancelled() ? Cancelled() : status;
    }
  } while (calls_.WaitToRetry("WeightStore/Watch", backoff.Next()));
  return Cancelled();
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightClient>> ConnectWeightStore(
    const std::string& address, const WeightClientOptions& options) {
  ATTNRL_ASSIGN_OR_RETURN(auto channel, rpc::Connect(address, {.security = options.security,
                                                               .peer = rpc::Role::kLearner}));
  return std::make_unique<StubWeightClient>(std::move(channel), options);
}

}  // namespace attnrl::learner
