// SPDX-License-Identifier: Apache-2.0
// Speed of the weight transfer: one version through the store's service and the client, over a Unix
// socket within one process, checksums and digest included; then, as a difference to it, another of
// bfloat16 weights that a step of learning rate 1e-6 has moved. Prints one JSON object.
//   weight_transfer_bench [megabytes=256] [fetches=3]
#include <ATen/ATen.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/rpc/server.h"
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
  const auto data = client.Fetch(*after, &*base, absl::Minutes(10));
  if (!data.ok()) return data.status();
  return std::pair{static_cast<double>(client.received_bytes() - received) /
                       static_cast<double>(data->bytes.size()),
                   absl::ToDoubleSeconds(Clock::Real().Monotonic() - start)};
}

absl::StatusOr<nlohmann::ordered_json> Measure(const std::string& folder, int64_t megabytes,
                                               int64_t fetches) {
  auto store = learner::VersionStore::Open(folder);
  if (!store.ok()) return store.status();
  learner::WeightStoreService service(**store);
  auto server = rpc::Server::Start(
      {.address = "unix:" + folder + "/weights.sock", .service_name = "learner"}, {&service});
  if (!server.ok()) return server.status();
  model::Tensors weights;
  for (int64_t i = 0; i < 16; ++i) {
    weights["layer." + std::to_string(i)] = at::rand({(megabytes << 20) / 128, 2});
  }
  const auto version = Publish(**store, 0, weights);
  if (!version.ok()) return version.status();
  auto client = learner::ConnectWeightStore((*server)->address());
  if (!client.ok()) return client.status();
  uint64_t bytes = 0;
  const absl::Duration start = Clock::Real().Monotonic();
  for (int64_t i = 0; i < fetches; ++i) {
    const auto data = (*client)->Fetch(*version, nullptr, absl::Minutes(10));
    if (!data.ok()) return data.status();
    bytes += data->bytes.size();
  }
  const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
  const auto step = MeasureStep(**store, **client, megabytes);
  if (!step.ok()) return step.status();
  (*store)->Close();
  (*server)->Shutdown(absl::Seconds(1));
  return nlohmann::ordered_json{
      {"benchmark", "weight_transfer"},
      {"version_bytes", bytes / static_cast<uint64_t>(fetches)},
      {"fetches", fetches},
      {"seconds", seconds},
      {"gigabytes_per_second", static_cast<double>(bytes) / 1e9 / seconds},
      {"step_share_of_bytes", step->first},
      {"step_gigabytes_per_second", static_cast<double>(megabytes << 20) / 1e9 / step->second}};
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
