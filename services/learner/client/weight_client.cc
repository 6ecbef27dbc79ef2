// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/weight_client.h"

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/rpc/call_group.h"
#include "common/rpc/channel.h"
#include "common/storage/digest.h"
#include "services/learner/client/host_folder.h"
#include "services/learner/client/version_fetch.h"
#include "services/learner/client/version_receiver.h"

namespace attnrl::learner {
namespace {

// How often one that waits for another process's fetch looks whether it has ended.
constexpr absl::Duration kLockPoll = absl::Milliseconds(50);

// Only such a one is the name of a file.
bool IsDigest(std::string_view text) {
  return text.size() == 2 * storage::kSha256Bytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

class StubWeightClient final : public WeightClient {
 public:
  StubWeightClient(std::shared_ptr<grpc::Channel> channel, const WeightClientOptions& options)
      : options_(options), setting_{options_, std::move(channel), calls_, received_} {}

  using Data = absl::StatusOr<std::shared_ptr<const VersionData>>;
  Data Fetch(const Version& version, const VersionData* base, absl::Duration deadline) override;
  uint64_t received_bytes() const override { return received_; }
  void Cancel() override { calls_.Cancel(); }

 private:
  using GoesOn = std::function<void()>;

  Data FetchAlone(
      const Version& version, const VersionData* base, absl::Duration deadline,
      const GoesOn& goes_on = [] {},
      const VersionReceiver::MakeRoom& room = VersionReceiver::OwnRoom);
  Data FetchForHost(const HostFolder& folder, const Version& version, const VersionData* base,
                    absl::Duration deadline);
  Data OpenShared(const HostFolder& folder, const Version& version);

  const WeightClientOptions options_;
  std::atomic<uint64_t> received_ = 0;
  rpc::CallGroup calls_;
  const FetchSetting setting_;
};

void NotShared(const Version& version, const absl::Status& reason) {
  observe::LogWarning("weights are not shared with this machine's other processes",
                      {{"version", version.number}, {"reason", reason}});
}

StubWeightClient::Data StubWeightClient::FetchAlone(const Version& version, const VersionData* base,
                                                    absl::Duration deadline, const GoesOn& goes_on,
                                                    const VersionReceiver::MakeRoom& room) {
  return VersionFetch(setting_, version, base, goes_on, room).Run(deadline);
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
    if (calls_.cancelled()) return FetchCancelled();
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
