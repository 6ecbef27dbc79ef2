// SPDX-License-Identifier: Apache-2.0
#include "common/base/machine.h"

#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

namespace attnrl {
namespace {

// The first number of a file; nullopt where there is none ("max").
std::optional<int64_t> ReadNumber(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// Bytes of a line of /proc/meminfo, which counts in KiB.
std::optional<int64_t> MemoryInfo(const std::string& root, const std::string& name) {
  std::ifstream file(root + "/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key;
    int64_t kibibytes = 0;
    if (words >> key >> kibibytes && key == name + ":") return kibibytes * 1024;
  }
  return std::nullopt;
}

// The cgroup folders of this process for a controller, its own one first and then those above it,
// in which limits hold too. Version 2 has one hierarchy, version 1 one for each controller.
std::vector<std::string> Folders(const std::string& root, const std::string& controller) {
  std::vector<std::string> folders;
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find("," + controller + ",") == std::string::npos) continue;
    const std::string base = root + "/sys/fs/cgroup" + (unified ? "" : "/" + controller);
    std::string path = line.substr(second + 1);
    while (!path.empty() && path != "/") {
      folders.push_back(base + path);
      path.resize(path.rfind('/'));
    }
    folders.push_back(base);
  }
  return folders;
}

struct MemoryGroup {
  int64_t limit = 0;
  int64_t used = 0;  // without what could be dropped
};

std::vector<MemoryGroup> MemoryGroups(const std::string& root) {
  std::vector<MemoryGroup> groups;
  for (const std::string& folder : Folders(root, "memory")) {
    const auto limit = ReadNumber(folder + "/memory.max");
    const auto old_limit = ReadNumber(folder + "/memory.limit_in_bytes");
    if (!limit && !old_limit) continue;
    const auto used =
        ReadNumber(folder + (limit ? "/memory.current" : "/memory.usage_in_bytes")).value_or(0);
    std::ifstream statistics(folder + "/memory.stat");
    std::string key;
    int64_t value = 0;
    int64_t cached = 0;
    while (statistics >> key >> value) {
      if (key == (limit ? "inactive_file" : "total_inactive_file")) cached = value;
    }
    groups.push_back({limit ? *limit : *old_limit, std::max<int64_t>(0, used - cached)});
  }
  return groups;
}

}  // namespace

int64_t MemoryLimit(const std::string& root) {
  int64_t limit = MemoryInfo(root, "MemTotal").value_or(0);
  for (const MemoryGroup& group : MemoryGroups(root)) {
    limit = limit == 0 ? group.limit : std::min(limit, group.limit);
  }
  return limit;
}

int64_t AvailableMemory(const std::string& root) {
  int64_t available = MemoryInfo(root, "MemAvailable").value_or(0);
  for (const MemoryGroup& group : MemoryGroups(root)) {
    const int64_t left = std::max<int64_t>(0, group.limit - group.used);
    available = available == 0 ? left : std::min(available, left);
  }
  return available;
}

int ProcessorLimit(const std::string& root) {
  auto processors = static_cast<int64_t>(std::thread::hardware_concurrency());
  if (processors == 0) processors = 1;
  for (const std::string& folder : Folders(root, "cpu")) {
    std::ifstream file(folder + "/cpu.max");
    int64_t quota = 0;
    int64_t period = 0;
    if (!(file >> quota >> period)) {
      quota = ReadNumber(folder + "/cpu.cfs_quota_us").value_or(-1);
      period = ReadNumber(folder + "/cpu.cfs_period_us").value_or(0);
    }
    if (quota > 0 && period > 0) processors = std::min(processors, quota / period);
  }
  return static_cast<int>(std::clamp<int64_t>(processors, 1, 1024));
}

int ThreadsOr(int64_t wanted) { return wanted > 0 ? static_cast<int>(wanted) : ProcessorLimit(); }

void KeepFreedMemory() {
  // Either setting ends glibc's own adapting of both. Up to 32 MiB, the most that it allows, blocks
  // come from what was kept; larger ones still come from the system and go back to it.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

void ReturnFreedMemory() { ::malloc_trim(0); }

}  // namespace attnrl
