// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_fetch.h"

#include <algorithm>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/client/piece_wire.h"

namespace attnrl::learner {
namespace {

constexpr absl::Duration kFirstWait = absl::Milliseconds(50);
// A version that came damaged this often is given up; once, it may have been the transport.
constexpr int kDamagedTries = 2;
// Of other workers: without a byte for so long one is given up, and after so many of them only the
// learner is asked.
constexpr absl::Duration kRelayDeadline = absl::Seconds(20);
constexpr size_t kMaxFailed = 4;
// The learner names one or two; each takes a thread.
constexpr size_t kMostSources = 2;
// Of one call, so that a request is short.
constexpr size_t kMaxChunks = 4096;

absl::Status AcceptChunk(const v1::VersionChunk& chunk, size_t index, ChunkReceiver& receiver) {
  if (chunk.difference().empty()) return receiver.Filled(index, chunk.crc32c());
  return receiver.Difference(index, chunk.offset(), chunk.difference(), chunk.crc32c());
}

v1::FetchVersionRequest RequestFor(const Version& version) {
  v1::FetchVersionRequest request;
  request.mutable_version()->set_number(version.number);
  request.mutable_version()->set_digest(version.digest);
  return request;
}

std::string NameOf(const v1::FetchVersionRequest& request) {
  return absl::StrCat("W(", request.version().number(), ")");
}

// A server that stops cancels what it sends, and one with too many calls refuses some: the next try
// may find either ready. Whoever has cancelled the fetch itself looks for that first.
absl::Status Ended(const absl::Status& status) {
  return absl::IsCancelled(status) || absl::IsResourceExhausted(status)
             ? absl::UnavailableError(status.message())
             : status;
}

}  // namespace

absl::Status FetchCancelled() { return absl::CancelledError("the weight client was cancelled"); }

VersionFetch::VersionFetch(const FetchSetting& setting, const Version& version,
                           const VersionData* base, const std::function<void()>& goes_on,
                           const VersionReceiver::MakeRoom& room)
    : setting_(setting),
      version_(version),
      base_(base),
      goes_on_(goes_on),
      receiver_(
          version, setting.options.max_version_bytes, base,
          [held = setting.options.held](SentVersion begun) {
            if (held != nullptr) held->Add(std::move(begun));
          },
          room) {}

absl::Status VersionFetch::Locate(absl::Duration deadline) {
  v1::FetchVersionRequest request = RequestFor(version_);
  request.set_manifest_only(true);
  if (setting_.options.held != nullptr && failed_.size() < kMaxFailed) {
    request.set_serves_at(static_cast<uint32_t>(setting_.options.serves_at));
    for (const std::string& address : failed_) request.add_failed(address);
  }
  const rpc::Call call(setting_.calls, deadline);
  const auto reader = v1::WeightStore::NewStub(setting_.learner)->Fetch(call.context(), request);
  std::optional<v1::VersionManifest> manifest;
  std::vector<std::string> sources;
  v1::VersionPiece piece;
  while (reader->Read(&piece)) {
    if (piece.has_manifest()) manifest = std::move(*piece.mutable_manifest());
    const auto& named = piece.elsewhere().addresses();
    if (piece.has_elsewhere()) sources.assign(named.begin(), named.end());
  }
  ATTNRL_RETURN_IF_ERROR(
      Ended(rpc::FromGrpc(reader->Finish(), absl::StrCat("fetch of ", NameOf(request)))));
  if (sources.size() > kMostSources) {
    return absl::InternalError(
        absl::StrCat(NameOf(request), ": has ", sources.size(), " sources, not one or two"));
  }
  if (!manifest) return absl::DataLossError(absl::StrCat(NameOf(request), ": without a manifest"));
  ATTNRL_RETURN_IF_ERROR(receiver_.Manifest(FromProto(*manifest), manifest->total_bytes()));
  if (sources.empty()) sources.emplace_back();
  sources_ = std::move(sources);
  return absl::OkStatus();
}

std::vector<absl::Status> VersionFetch::FetchSome(absl::Duration left, absl::Duration deadline) {
  ChunkQueue queue(receiver_.Missing(), sources_.size());
  std::vector<absl::Status> ended(sources_.size());
  std::vector<std::jthread> others;
  for (size_t source = 1; source < sources_.size(); ++source) {
    others.emplace_back([&, source] { ended[source] = FetchFrom(source, queue, left, deadline); });
  }
  ended[0] = FetchFrom(0, queue, left, deadline);
  others.clear();  // joins them
  return ended;
}

absl::Status VersionFetch::FetchFrom(size_t source, ChunkQueue& queue, absl::Duration left,
                                     absl::Duration deadline) {
  const bool relayed = !sources_[source].empty();
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = setting_.learner;
  if (relayed) {
    channel = rpc::Connect(sources_[source], {.security = setting_.options.security,
                                              .peer = rpc::Role::kRolloutWorker,
                                              .window_bytes = kWindowBytes});
  }
  absl::Status status = channel.status();
  ChunkReceiver receiver = receiver_.FromSource(base_);
  while (status.ok()) {
    const std::vector<size_t> chunks = queue.Take(source, kMaxChunks);
    if (chunks.empty()) return absl::OkStatus();
    v1::FetchVersionRequest request = RequestFor(version_);
    for (const size_t chunk : chunks) {
      request.mutable_chunks()->append(receiver_.ChunkDigest(chunk));
    }
    if (base_ != nullptr) {
      request.mutable_base()->set_number(base_->version.number);
      request.mutable_base()->set_digest(base_->version.digest);
    }
    const size_t before = receiver.filled();
    status = Receive(source, queue, **channel, request, chunks.size(),
                     relayed ? std::min(left, kRelayDeadline) : left, receiver);
    const bool progress = receiver.filled() > before;
    if (progress) left = deadline;
    if (absl::IsDeadlineExceeded(status) && progress) status = absl::OkStatus();
  }
  queue.Leave(source);
  return status;
}

absl::Status VersionFetch::Receive(size_t source, ChunkQueue& queue, grpc::Channel& channel,
                                   const v1::FetchVersionRequest& request, size_t asked,
                                   absl::Duration deadline, ChunkReceiver& receiver) {
  const rpc::Call call(setting_.calls, deadline);
  const auto reader = StartFetch(channel, call.context(), request);
  queue.OnSilenced(source, [&call] { call.Cancel(); });
  absl::Status accepted;
  grpc::ByteBuffer message;
  v1::VersionChunk chunk;
  size_t count = 0;
  bool lost = false;  // what came was another's already
  // Where others have taken over the rest of what was asked for, nobody waits for that.
  while (accepted.ok() && (count == asked || queue.Owes(source)) && reader->Read(&message)) {
    const std::optional<size_t> index = queue.Next(source);
    if (count++ == asked) {
      accepted = absl::DataLossError(absl::StrCat(NameOf(request), ": more chunks than asked for"));
    }
    if (!index) {
      lost = accepted.ok();
      break;
    }
    const std::span<char> room = receiver.Room(*index);
    accepted = ReadChunk(&message, room, &chunk);
    if (!accepted.ok()) break;
    setting_.received += chunk.difference().empty() ? room.size() : chunk.difference().size();
    accepted = AcceptChunk(chunk, *index, receiver);
    if (accepted.ok()) goes_on_();
  }
  queue.OnSilenced(source, nullptr);
  const bool released = lost || (count < asked && !queue.Owes(source));
  if (!accepted.ok() || released) call.Cancel();
  const grpc::Status finished = reader->Finish();
  const absl::Status settled = receiver.Settle();
  if (!accepted.ok()) return accepted;
  ATTNRL_RETURN_IF_ERROR(settled);
  if (released) return absl::OkStatus();
  ATTNRL_RETURN_IF_ERROR(
      Ended(rpc::FromGrpc(finished, absl::StrCat("fetch of ", NameOf(request)))));
  if (count == asked) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(NameOf(request), " was sent only in part"));
}

bool VersionFetch::TakesAnotherWay(const std::string& source, const absl::Status& status) {
  // What came damaged may have been the difference, or the base: the next try is without.
  const bool differed = absl::IsDataLoss(status) && base_ != nullptr;
  // One that lives but doesn't have the chunks yet hasn't failed.
  if (source.empty() || absl::IsAborted(status)) return false;
  observe::LogWarning("another worker didn't send its weights",
                      {{"version", version_.number},
                       {"worker", source},
                       {"next", receiver_.complete() ? "nothing, another source sent all"
                                : differed           ? "without differences"
                                                     : "the learner is asked again"},
                       {"reason", std::string(status.message())}});
  if (!differed) failed_.push_back(source);
  return true;
}

absl::Status VersionFetch::Settle(const std::vector<absl::Status>& ended, bool* again) {
  absl::Status reason;
  bool damaged = false;
  bool keep = true;  // those that have been asked
  *again = false;
  for (size_t i = 0; i < ended.size(); ++i) {
    const absl::Status& status = ended[i];
    if (status.ok()) continue;
    const bool other = TakesAnotherWay(i < sources_.size() ? sources_[i] : "", status);
    damaged = damaged || absl::IsDataLoss(status);
    keep = keep && other && absl::IsDataLoss(status) && base_ != nullptr;
    *again = *again || other;
    if (!other) reason = status;
  }
  if (!keep) sources_.clear();
  if (damaged) base_ = nullptr;
  return reason;
}

absl::StatusOr<std::shared_ptr<const VersionData>> VersionFetch::Run(absl::Duration deadline) {
  Clock& clock = Clock::Real();
  absl::Duration end = clock.Monotonic() + deadline;
  Backoff backoff(kFirstWait, setting_.options.max_backoff);
  int damaged = 0;
  std::string last;  // why nothing came
  while (true) {
    const absl::Duration left = end - clock.Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("no data of W(", version_.number, ") arrived within ",
                       absl::FormatDuration(deadline), last.empty() ? "" : "; ", last));
    }
    const size_t before = receiver_.ready();
    std::vector<absl::Status> ended;
    if (sources_.empty()) ended = {Locate(left)};
    if (!sources_.empty()) ended = FetchSome(left, deadline);
    if (setting_.calls.cancelled() && !receiver_.complete()) return FetchCancelled();
    bool again = false;
    const absl::Status reason = Settle(ended, &again);
    if (!reason.ok()) last = std::string(reason.message());
    if (receiver_.complete()) return receiver_.Take();
    if (receiver_.ready() > before) {
      backoff.Reset();
      end = clock.Monotonic() + deadline;
    }
    if (again || absl::IsDeadlineExceeded(reason)) continue;
    if (absl::IsDataLoss(reason) && ++damaged >= kDamagedTries) return reason;
    if (!absl::IsDataLoss(reason) && !absl::IsUnavailable(reason) && !absl::IsAborted(reason)) {
      return reason;
    }
    const absl::Duration wait = std::min(backoff.Next(), end - clock.Monotonic());
    if (!setting_.calls.WaitToRetry("WeightStore/Fetch", wait)) return FetchCancelled();
  }
}

}  // namespace attnrl::learner
