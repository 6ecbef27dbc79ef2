// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/weight_client.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
#include "common/storage/digest.h"
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
  return receiver.Difference(index, chunk.offset(), chunk.difference(), chunk.crc32c());
}

// Only such a one is the name of a file.
bool IsDigest(std::string_view text) {
  return text.size() == 2 * storage::kSha256Bytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
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
  using GoesOn = std::function<void()>;
  // One version on its way.
  struct Course {
    const Version& version;
    const VersionData* base;  // what is asked for is a difference to this; null: the bytes
    const GoesOn& goes_on;    // is told of every chunk
    VersionReceiver receiver;
    // Who sends the chunks. Empty: the learner; nullopt: it is to be asked.
    std::optional<std::string> source = {};
    std::vector<std::string> failed = {};

    bool relayed() const { return source.has_value() && !source->empty(); }
  };

  absl::Status Locate(absl::Duration deadline, Course& course);
  absl::Status FetchSome(absl::Duration deadline, Course& course);
  absl::Status Receive(grpc::Channel& channel, const v1::FetchVersionRequest& request,
                       const std::vector<size_t>& chunks, absl::Duration deadline, Course& course);
  // After an attempt that went wrong: whether another one, elsewhere or without a base, goes on at
  // once.
  static bool TakesAnotherWay(const absl::Status& fetched, Course& course);

  Data FetchAlone(
      const Version& version, const VersionData* base, absl::Duration deadline,
      const GoesOn& goes_on = [] {},
      const VersionReceiver::MakeRoom& room = VersionReceiver::OwnRoom);
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

void NotShared(const Version& version, const absl::Status& reason) {
  observe::LogWarning("weights are not shared with this machine's other processes",
                      {{"version", version.number}, {"reason", reason}});
}

std::string NameOf(const v1::FetchVersionRequest& request) {
  return absl::StrCat("W(", request.version().number(), ")");
}

// Asks the learner what the version consists of, and who sends it.
absl::Status StubWeightClient::Locate(absl::Duration deadline, Course& course) {
  v1::FetchVersionRequest request = RequestFor(course.version);
  request.set_manifest_only(true);
  if (options_.held != nullptr && course.failed.size() < kMaxFailed) {
    request.set_serves_at(static_cast<uint32_t>(options_.serves_at));
    for (const std::string& address : course.failed) request.add_failed(address);
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
  ATTNRL_RETURN_IF_ERROR(course.receiver.Manifest(FromProto(*manifest), manifest->total_bytes()));
  course.source = std::move(source);
  return absl::OkStatus();
}

// Chunks that are missing, as many as one call brings.
absl::Status StubWeightClient::FetchSome(absl::Duration deadline, Course& course) {
  if (!course.source) ATTNRL_RETURN_IF_ERROR(Locate(deadline, course));
  const std::vector<size_t> chunks = course.receiver.Missing(kMaxChunks);
  if (chunks.empty()) return absl::OkStatus();
  v1::FetchVersionRequest request = RequestFor(course.version);
  for (const size_t chunk : chunks) {
    request.mutable_chunks()->append(course.receiver.ChunkDigest(chunk));
  }
  if (course.base != nullptr) {
    request.mutable_base()->set_number(course.base->version.number);
    request.mutable_base()->set_digest(course.base->version.digest);
  }
  if (!course.relayed()) return Receive(*learner_, request, chunks, deadline, course);
  ATTNRL_ASSIGN_OR_RETURN(const auto relay,
                          rpc::Connect(*course.source, {.security = options_.security,
                                                        .peer = rpc::Role::kRolloutWorker,
                                                        .window_bytes = kWindowBytes}));
  return Receive(*relay, request, chunks, std::min(deadline, kRelayDeadline), course);
}

absl::Status StubWeightClient::Receive(grpc::Channel& channel,
                                       const v1::FetchVersionRequest& request,
                                       const std::vector<size_t>& chunks, absl::Duration deadline,
                                       Course& course) {
  VersionReceiver& receiver = course.receiver;
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
    if (accepted.ok()) course.goes_on();
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

bool StubWeightClient::TakesAnotherWay(const absl::Status& fetched, Course& course) {
  // What came damaged may have been the difference, or the base: the next try is without.
  const bool differed = absl::IsDataLoss(fetched) && course.base != nullptr;
  if (differed) course.base = nullptr;
  // One that lives but doesn't have the chunks yet hasn't failed.
  if (!course.relayed() || absl::IsAborted(fetched)) {
    course.source.reset();
    return false;
  }
  observe::LogWarning("another worker didn't send its weights",
                      {{"version", course.version.number},
                       {"worker", *course.source},
                       {"next", differed ? "without differences" : "the learner is asked again"},
                       {"reason", std::string(fetched.message())}});
  if (!differed) course.failed.push_back(*std::exchange(course.source, std::nullopt));
  return true;
}

StubWeightClient::Data StubWeightClient::FetchAlone(const Version& version, const VersionData* base,
                                                    absl::Duration deadline, const GoesOn& goes_on,
                                                    const VersionReceiver::MakeRoom& room) {
  Clock& clock = Clock::Real();
  absl::Duration end = clock.Monotonic() + deadline;
  Course course{.version = version,
                .base = base,
                .goes_on = goes_on,
                .receiver = {version, options_.max_version_bytes, base,
                             [this](SentVersion begun) {
                               if (options_.held != nullptr) options_.held->Add(std::move(begun));
                             },
                             room}};
  Backoff backoff(kFirstWait, options_.max_backoff);
  int damaged = 0;
  while (true) {
    const absl::Duration left = end - clock.Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "no data of W(", version.number, ") arrived within ", absl::FormatDuration(deadline)));
    }
    const size_t before = course.receiver.ready();
    const absl::Status fetched = FetchSome(left, course);
    if (course.receiver.complete()) return course.receiver.Take();
    const bool progress = course.receiver.ready() > before;
    if (progress) {
      backoff.Reset();
      end = clock.Monotonic() + deadline;
    }
    if (fetched.ok()) continue;
    if (calls_.cancelled()) return Cancelled();
    if (absl::IsDeadlineExceeded(fetched) && progress) continue;
    if (TakesAnotherWay(fetched, course)) continue;
    if (absl::IsDataLoss(fetched) && ++damaged >= kDamagedTries) return fetched;
    if (absl::IsDeadlineExceeded(fetched)) continue;
    if (!absl::IsDataLoss(fetched) && !absl::IsUnavailable(fetched) && !absl::IsAborted(fetched)) {
      return fetched;
    }
    const absl::Duration wait = std::min(backoff.Next(), end - clock.Monotonic());
    if (!calls_.WaitToRetry("WeightStore/Fetch", wait)) return Cancelled();
  }
}

// What this machine's processes have in common is what others get from here, too.
StubWeightClient::Data StubWeightClient::OpenShared(const HostFolder& folder,
                                                    const Version& version) {
  Data data = folder.Open(version);
  if (data.ok() && options_.held != nullptr) options_.held->Add({.data = *data});
  return data;
}

// `folder` is locked for the version.
StubWeightClient::Data StubWeightClient::FetchForHost(const HostFolder& folder,
                                                      const Version& version,
                                                      const VersionData* base,
                                                      absl::Duration deadline) {
  Data shared = OpenShared(folder, version);  // another one may just have ended
  if (shared.ok()) return shared;
  absl::Status kept;
  const auto room = [&](uint64_t total) {
    auto made = folder.Begin(version, total);
    kept = made.status();
    return kept.ok() ? made : VersionReceiver::OwnRoom(total);
  };
  ATTNRL_ASSIGN_OR_RETURN(auto fetched,
                          FetchAlone(
                              version, base, deadline, [&] { folder.GoOn(version); }, room));
  if (kept.ok()) kept = folder.Keep(*fetched);
  shared = kept.ok() ? OpenShared(folder, version) : kept;
  if (shared.ok()) return shared;
  NotShared(version, shared.status());
  return fetched;
}

StubWeightClient::Data StubWeightClient::Fetch(const Version& version, const VersionData* base,
                                               absl::Duration deadline) {
  if (options_.host_folder.empty() || !IsDigest(version.digest)) {
    return FetchAlone(version, base, deadline);
  }
  const HostFolder folder(options_.host_folder);
  Clock& clock = Clock::Real();
  // Longer than that other's fetch would, so that it has said so itself by then.
  const absl::Duration patience = 2 * deadline;
  absl::Duration end = clock.Monotonic() + patience;
  auto went_on = folder.WentOn(version);
  absl::Status reason = absl::DeadlineExceededError("the process that fetches them stands still");
  while (clock.Monotonic() < end) {
    if (calls_.cancelled()) return Cancelled();
    Data shared = OpenShared(folder, version);
    if (shared.ok()) return shared;
    const auto lock = folder.TryLock(version);
    if (lock.ok() && lock->has_value()) return FetchForHost(folder, version, base, deadline);
    if (!absl::IsNotFound(shared.status()) || !lock.ok()) {
      reason = lock.ok() ? shared.status() : lock.status();
      break;
    }
    if (const auto now = folder.WentOn(version); now != went_on) {
      went_on = now;
      end = clock.Monotonic() + patience;
    }
    clock.Sleep(kLockPoll);
  }
  NotShared(version, reason);
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
