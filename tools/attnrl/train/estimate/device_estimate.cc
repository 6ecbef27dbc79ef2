// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/estimate/device_estimate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/device_name.h"
#include "common/base/status.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

constexpr int64_t kMostRanks = 1024;

struct Unit {
  const char* name;
  double bytes;
};
constexpr Unit kUnits[] = {
    {"", 1},      {"B", 1},           {"MB", 1e6},           {"GB", 1e9},
    {"TB", 1e12}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}};

// "about 92.1 GB (weights, 3 versions 45.7 GB, ...)".
std::string Needs(const DeviceEstimate& device) {
  return absl::StrCat("a ", device.process, " would need about ", FormatBytes(device.total()),
                      " of its device (",
                      absl::StrJoin(device.parts, "; ",
                                    [](std::string* out, const DeviceEstimate::Part& part) {
                                      absl::StrAppend(out, part.what, " ", FormatBytes(part.bytes));
                                    }),
                      ")");
}

std::string Has(int64_t device_bytes) {
  return absl::StrCat("a device has ", FormatBytes(device_bytes));
}

absl::StatusOr<DeviceEstimate> WorkerDevice(const config::Config& config, const RunShape& shape,
                                            int64_t device_bytes) {
  KvRoom memory{.limit = device_bytes, .available = device_bytes};
  // A cache whose size is left to the worker takes what the rest leaves.
  if (device_bytes > 0 && config.rollout.kv_cache_bytes == 0) {
    memory.reserved = EstimateWorkerDevice(config, shape, 0).total();
  }
  ATTNRL_ASSIGN_OR_RETURN(const int64_t kv_bytes, KvBytes(config.rollout, shape, memory));
  DeviceEstimate device = EstimateWorkerDevice(config, shape, kv_bytes);
  const int64_t room = device_bytes - (device.total() - kv_bytes);
  if (device_bytes == 0 || kv_bytes <= room) return device;
  if (room <= 0) {
    return InputError("rollout.resident_versions, rollout.slots", Needs(device),
                      absl::StrCat(Has(device_bytes), ", which leaves a cache no room"));
  }
  return InputError(
      "rollout.kv_cache_bytes", Needs(device),
      absl::StrCat(Has(device_bytes), ": at most ", room, " bytes, or fewer resident versions"));
}

// Whether a rank fits with `ranks` of them and passes of `tokens` tokens.
bool Fits(config::Config config, const RunShape& shape, int64_t device_bytes, int64_t ranks,
          int64_t tokens) {
  config.learner.ranks = ranks;
  config.learner.max_tokens_per_pass = tokens;
  return EstimateLearnerDevice(config, shape, device_bytes).total() <= device_bytes;
}

absl::StatusOr<DeviceEstimate> LearnerDevice(const config::Config& config, const RunShape& shape,
                                             int64_t device_bytes) {
  DeviceEstimate device = EstimateLearnerDevice(config, shape, device_bytes);
  if (device_bytes == 0 || device.total() <= device_bytes) return device;
  const int64_t tokens = config.learner.max_tokens_per_pass;
  if (Fits(config, shape, device_bytes, config.learner.ranks, 1)) {
    return InputError("learner.max_tokens_per_pass", Needs(device),
                      absl::StrCat(Has(device_bytes), ", which smaller passes than of ", tokens,
                                   " tokens fit into"));
  }
  int64_t ranks = config.learner.ranks;
  while (ranks <= kMostRanks && !Fits(config, shape, device_bytes, ranks, tokens)) ++ranks;
  return InputError(
      "learner.ranks", Needs(device),
      absl::StrCat(
          Has(device_bytes),
          ranks > kMostRanks
              ? ", and no number of ranks makes it fit; learner.lora.rank or "
                "shorter responses need less"
              : absl::StrCat(": at least ", ranks, " ranks, or adapters (learner.lora.rank)")));
}

}  // namespace

absl::StatusOr<int64_t> ParseSize(std::string_view text, std::string_view where) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string unit(text.substr(digits));
  absl::StripAsciiWhitespace(&unit);
  double number = 0;
  if (absl::SimpleAtod(std::string(text.substr(0, digits)), &number)) {
    for (const Unit& each : kUnits) {
      if (unit != each.name) continue;
      const double bytes = number * each.bytes;
      if (bytes >= 1 && bytes < 1e18) return static_cast<int64_t>(std::llround(bytes));
    }
  }
  return InputError(where, absl::StrCat("\"", OneLine(std::string(text), 40), "\" is no size"),
                    "a number of bytes, or with MB, GB, TB, MiB, GiB or TiB, for example 80GiB");
}

absl::StatusOr<std::vector<DeviceEstimate>> EstimateDevices(const config::Config& config,
                                                            const RunShape& shape,
                                                            int64_t device_bytes) {
  std::vector<DeviceEstimate> devices;
  if (config.rollout.device != "cpu") {
    ATTNRL_ASSIGN_OR_RETURN(DeviceEstimate worker, WorkerDevice(config, shape, device_bytes));
    devices.push_back(std::move(worker));
  }
  if (config.learner.device != "cpu") {
    ATTNRL_ASSIGN_OR_RETURN(DeviceEstimate rank, LearnerDevice(config, shape, device_bytes));
    devices.push_back(std::move(rank));
  }
  return devices;
}

absl::Status CheckSharedGpus(const config::Config& config,
                             const std::vector<DeviceEstimate>& devices,
                             const std::vector<int64_t>& gpu_bytes) {
  if (gpu_bytes.empty()) return absl::OkStatus();
  struct Gpu {
    int64_t bytes = 0;
    std::map<std::string, int64_t> processes;
  };
  std::vector<Gpu> gpus(gpu_bytes.size());
  size_t next = 0;
  // As the services are started: the learner's ranks are last in `devices`.
  for (auto device = devices.rbegin(); device != devices.rend(); ++device) {
    const bool worker = device->process == kWorkerProcess;
    const std::string& name = worker ? config.rollout.device : config.learner.device;
    const std::optional<DeviceName> wanted = ParseDeviceName(name);
    const int number = wanted.has_value() ? wanted->number : -1;
    for (int64_t i = 0; i < device->processes; ++i) {
      Gpu& gpu = gpus[(number >= 0 ? static_cast<size_t>(number) : next++) % gpus.size()];
      gpu.bytes += device->total();
      ++gpu.processes[device->process];
    }
  }
  for (size_t i = 0; i < gpus.size(); ++i) {
    if (gpu_bytes[i] == 0 || gpus[i].bytes <= gpu_bytes[i]) continue;
    return InputError("rollout.kv_cache_bytes, rollout.workers",
                      absl::StrCat("GPU ", i, " would be shared by ",
                                   absl::StrJoin(gpus[i].processes, " and ",
                                                 [](std::string* out, const auto& entry) {
                                                   absl::StrAppend(out, entry.second, " x ",
                                                                   entry.first);
                                                 }),
                                   ", which need about ", FormatBytes(gpus[i].bytes)),
                      absl::StrCat("it has ", FormatBytes(gpu_bytes[i]),
                                   "; a smaller cache or fewer workers need less"));
  }
  return absl::OkStatus();
}

std::string DeviceTable(const std::vector<DeviceEstimate>& devices, int64_t device_bytes) {
  std::string table;
  for (const DeviceEstimate& device : devices) {
    std::string head = absl::StrCat(device.processes, " x ", device.process);
    const auto add = [&](const std::string& what, const std::string& bytes) {
      absl::StrAppendFormat(&table, "%-18s%-46s%9s\n", std::exchange(head, ""), what, bytes);
    };
    for (const DeviceEstimate::Part& part : device.parts) add(part.what, FormatBytes(part.bytes));
    const int64_t total = device.total();
    add(device_bytes == 0
            ? "of a device of its own"
            : absl::StrFormat("%.0f %% of a device of %s of its own",
                              100 * static_cast<double>(total) / static_cast<double>(device_bytes),
                              FormatBytes(device_bytes)),
        FormatBytes(total));
  }
  return table;
}

}  // namespace attnrl::tools
