// SPDX-License-Identifier: Apache-2.0
// Speed of the weight transfer within one process, checksums and digests included: one version
// published, then fetched over a Unix socket and over loopback TCP, beside what one TCP stream
// copies; as a difference to it, another of bfloat16 weights that a step of learning rate 1e-6 has
// moved; eight workers at once that send it to each other; and one that gets it from two others,
// beside one that gets it from one of them, where each sends a version in four seconds. Prints one
// JSON object; best of `fetches`.
//   weight_transfer_bench [megabytes=256] [fetches=3]
#include <ATen/ATen.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/rpc/server.h"
#include "services/learner/client/held_versions.h"
#include "services/learner/client/version_sender.h"
#include "services/learner/client/weight_client.h"
#include "services/learner/rpc/weight_store_service.h"
#include "services/learner/versions/version_file.h"
#include "services/learner/versions/version_store.h"

namespace attnrl {
namespace {

absl::StatusOr<Version> Publish(learner::VersionStore& store, uint32_t number,
                                const model::Tensors& weights) {
  auto data = std::make_shared<const learner::VersionData>(learner::ToVersionData(number, weights));
  const absl::Status published = store.Publish(data);
  if (!published.ok()) return published;
  return data->version;
}

// The share of a version's bytes that is sent to who holds the one before, and the seconds it
// takes.
absl::StatusOr<std::pair<double, double>> MeasureStep(learner::VersionStore& store,
                                                      learner::WeightClient& client,
                                                      int64_t megabytes) {
  const at::Tensor masters = 0.02 * at::randn({(megabytes << 20) / 2});
  const at::Tensor moved = masters + 1e-6 * at::randn(masters.sizes()).sign();
  const auto before = Publish(store, 1, {{"w", masters.to(at::kBFloat16)}});
  if (!before.ok()) return before.status();
  const auto after = Publish(store, 2, {{"w", moved.to(at::kBFloat16)}});
  if (!after.ok()) return after.status();
  const auto base = client.Fetch(*before, nullptr, absl::Minutes(10));
  if (!base.ok()) return base.status();
  const uint64_t received = client.received_bytes();
  const absl::Duration start = Clock::Real().Monotonic();
  const auto data = client.Fetch(*after, base->get(), absl::Minutes(10));
  if (!data.ok()) return data.status();
  return std::pair{static_cast<double>(client.received_bytes() - received) /
                       static_cast<double>((*data)->bytes.size()),
                   absl::ToDoubleSeconds(Clock::Real().Monotonic() - start)};
}

// What one TCP stream over loopback copies in a second, in GB: the limit of this machine.
double TcpGigabytesPerSecond(int64_t megabytes) {
  const std::string data(static_cast<size_t>(megabytes) << 20, 'x');
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  const bool listens = ::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                       ::listen(listener, 1) == 0 &&
                       ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  if (!listens) return 0;
  std::thread sender([&] {
    const int out = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(out, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      for (size_t at = 0; at < data.size();) {
        const ssize_t sent = ::send(out, data.data() + at, data.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) break;
        at += static_cast<size_t>(sent);
      }
    }
    ::close(out);
  });
  std::string received(data.size(), '\0');
  const int in = ::accept(listener, nullptr, nullptr);
  const absl::Duration start = Clock::Real().Monotonic();
  size_t at = 0;
  while (at < received.size()) {
    const ssize_t count = ::recv(in, received.data() + at, received.size() - at, 0);
    if (count <= 0) break;
    at += static_cast<size_t>(count);
  }
  const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
  sender.join();
  ::close(in);
  ::close(listener);
  return static_cast<double>(at) / 1e9 / seconds;
}

// What a worker has for its weights.
struct Worker {
  explicit Worker(uint64_t bytes_per_second = 0) : relay(held, bytes_per_second) {}

  learner::HeldVersions held;
  learner::RelayService relay;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<learner::WeightClient> client;
};

absl::Status Join(const std::string& learner, Worker* worker) {
  ATTNRL_ASSIGN_OR_RETURN(worker->server,
                          rpc::Server::Start({.address = "127.0.0.1:0"}, {&worker->relay}));
  learner::WeightClientOptions options;
  options.held = &worker->held;
  options.serves_at =
      std::atoi(worker->server->address().substr(worker->server->address().rfind(':') + 1).c_str());
  ATTNRL_ASSIGN_OR_RETURN(worker->client, learner::ConnectWeightStore(learner, options));
  return absl::OkStatus();
}

// Seconds until so many workers have fetched `version` at once.
absl::StatusOr<double> MeasureWorkers(const std::string& learner, const Version& version,
                                      int64_t count) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int64_t i = 0; i < count; ++i) {
    workers.push_back(std::make_unique<Worker>());
    ATTNRL_RETURN_IF_ERROR(Join(learner, workers.back().get()));
  }
  std::vector<absl::Status> statuses(workers.size());
  std::vector<std::thread> threads;
  const absl::Duration start = Clock::Real().Monotonic();
  for (size_t i = 0; i < workers.size(); ++i) {
    threads.emplace_back([&, i] {
      statuses[i] = workers[i]->client->Fetch(version, nullptr, absl::Minutes(10)).status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
  for (const auto& worker : workers) worker->server->Shutdown(absl::ZeroDuration());
  for (const absl::Status& status : statuses) ATTNRL_RETURN_IF_ERROR(status);
  return seconds;
}

// Seconds a fetch, the best of some.
absl::StatusOr<double> MeasureFetch(learner::WeightClient& client, const Version& version,
                                    int64_t fetches) {
  double best = 0;
  for (int64_t i = 0; i < fetches; ++i) {
    const absl::Duration start = Clock::Real().Monotonic();
    ATTNRL_RETURN_IF_ERROR(client.Fetch(version, nullptr, absl::Minutes(10)).status());
    const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
    best = i == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

// What fetching `version` from two workers takes, in shares of what it takes from one.
absl::StatusOr<double> MeasureTwoSources(const std::string& learner, const Version& version,
                                         uint64_t bytes) {
  std::vector<std::unique_ptr<Worker>> workers;
  double two = 0;
  for (int i = 0; i < 3; ++i) {
    workers.push_back(std::make_unique<Worker>(bytes / 4));
    ATTNRL_RETURN_IF_ERROR(Join(learner, workers.back().get()));
    ATTNRL_ASSIGN_OR_RETURN(two, MeasureFetch(*workers.back()->client, version, 1));
  }
  ATTNRL_ASSIGN_OR_RETURN(const auto of_one,
                          learner::ConnectWeightStore(workers[0]->server->address()));
  ATTNRL_ASSIGN_OR_RETURN(const double one, MeasureFetch(*of_one, version, 1));
  for (const auto& worker : workers) worker->server->Shutdown(absl::ZeroDuration());
  return two / one;
}

absl::StatusOr<nlohmann::ordered_json> Measure(const std::string& folder, int64_t megabytes,
                                               int64_t fetches) {
  ATTNRL_ASSIGN_OR_RETURN(const auto store, learner::VersionStore::Open(folder));
  learner::WeightStoreService service(*store);
  ATTNRL_ASSIGN_OR_RETURN(
      const auto local,
      rpc::Server::Start({.address = "unix:" + folder + "/weights.sock"}, {&service}));
  ATTNRL_ASSIGN_OR_RETURN(const auto tcp,
                          rpc::Server::Start({.address = "127.0.0.1:0"}, {&service}));
  model::Tensors weights;
  for (int64_t i = 0; i < 16; ++i) {
    weights["layer." + std::to_string(i)] = at::rand({(megabytes << 20) / 128, 2});
  }
  const absl::Duration start = Clock::Real().Monotonic();
  ATTNRL_ASSIGN_OR_RETURN(const Version version, Publish(*store, 0, weights));
  const double publish = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
  ATTNRL_ASSIGN_OR_RETURN(const auto by_socket, learner::ConnectWeightStore(local->address()));
  ATTNRL_ASSIGN_OR_RETURN(const auto by_tcp, learner::ConnectWeightStore(tcp->address()));
  const double gigabytes = static_cast<double>(megabytes << 20) / 1e9;
  double stream = 0;
  for (int64_t i = 0; i < fetches; ++i) stream = std::max(stream, TcpGigabytesPerSecond(megabytes));
  ATTNRL_ASSIGN_OR_RETURN(const double local_seconds, MeasureFetch(*by_socket, version, fetches));
  ATTNRL_ASSIGN_OR_RETURN(const double tcp_seconds, MeasureFetch(*by_tcp, version, fetches));
  ATTNRL_ASSIGN_OR_RETURN(const auto step, MeasureStep(*store, *by_socket, megabytes));
  ATTNRL_ASSIGN_OR_RETURN(const double eight, MeasureWorkers(tcp->address(), version, 8));
  ATTNRL_ASSIGN_OR_RETURN(const Version again, Publish(*store, 3, weights));
  ATTNRL_ASSIGN_OR_RETURN(const double two,
                          MeasureTwoSources(tcp->address(), again, megabytes << 20));
  local->Shutdown(absl::Seconds(1));
  tcp->Shutdown(absl::Seconds(1));
  return nlohmann::ordered_json{{"benchmark", "weight_transfer"},
                                {"version_bytes", megabytes << 20},
                                {"fetches", fetches},
                                {"publish_seconds", publish},
                                {"tcp_stream_gigabytes_per_second", stream},
                                {"gigabytes_per_second", gigabytes / local_seconds},
                                {"tcp_gigabytes_per_second", gigabytes / tcp_seconds},
                                {"share_of_tcp_stream", gigabytes / tcp_seconds / stream},
                                {"step_share_of_bytes", step.first},
                                {"step_gigabytes_per_second", gigabytes / step.second},
                                {"eight_workers_seconds", eight},
                                {"eight_workers_times_one", eight / tcp_seconds},
                                {"two_sources_times_one", two}};
}

int Run(int argc, char** argv) {
  const int64_t megabytes = argc > 1 ? std::atoll(argv[1]) : 256;
  const int64_t fetches = argc > 2 ? std::atoll(argv[2]) : 3;
  if (megabytes < 1 || fetches < 1) {
    std::cerr << "error: arguments: megabytes and fetches; whole numbers above 0" << std::endl;
    return 2;
  }
  std::string folder = (std::filesystem::temp_directory_path() / "attnrl-bench-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  KeepFreedMemory();  // as every service does
  const auto result = Measure(folder, megabytes, fetches);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (!result.ok()) {
    std::cerr << "error: " << result.status().message() << std::endl;
    return 1;
  }
  std::cout << PrintJson(*result) << std::endl;
  return 0;
}

}  // namespace
}  // namespace attnrl

int main(int argc, char** argv) { return attnrl::Run(argc, argv); }
