// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/services.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/device_name.h"
#include "tools/attnrl/train/run_directory.h"

namespace attnrl::tools {
namespace {

// Several processes share few cores: each gets its threads, and waiting ones don't spin.
std::map<std::string, std::string> ThreadBudget(int64_t threads) {
  return {{"OMP_NUM_THREADS", absl::StrCat(threads)},
          {"MKL_NUM_THREADS", absl::StrCat(threads)},
          {"OMP_WAIT_POLICY", "PASSIVE"},
          {"GOMP_SPINCOUNT", "0"}};
}

ServicePlan Plan(const std::string& role, const std::string& name, std::string does,
                 int64_t threads, int64_t memory_bytes, const RunPaths& paths) {
  ServicePlan plan;
  plan.does = std::move(does);
  plan.threads = threads;
  plan.memory_bytes = memory_bytes;
  plan.process.name = name;
  plan.process.environment = ThreadBudget(threads);
  plan.address =
      SocketAddress(paths.socket_folder, role == "branch-scheduler" ? "scheduler" : name);
  plan.process.output_file = OutputPath(paths.run_directory, name);
  plan.process.argv = {absl::StrCat(paths.binary_folder, "/attnrl-", role),
                       "--config",
                       paths.run_directory + "/config.yaml",
                       "--run-dir",
                       paths.run_directory,
                       "--name",
                       name};
  for (const char* section : {"scheduler", "verifier", "learner"}) {
    plan.process.argv.emplace_back("--set");
    plan.process.argv.push_back(
        absl::StrCat(section, ".address=", SocketAddress(paths.socket_folder, section)));
  }
  return plan;
}

// Shares the GPUs out to the processes of a run, in the order in which they ask.
class Gpus {
 public:
  explicit Gpus(const std::vector<std::string>& names) : names_(names) {}

  // Lets a process see the GPU that it takes and no other; `key` is that of its `device`.
  void Take(const std::string& key, const std::string& device, ProcessSpec& process) {
    const std::optional<DeviceName> wanted = ParseDeviceName(device);
    if (!wanted || !wanted->gpu || names_.empty()) return;
    const size_t number = wanted->number >= 0 ? static_cast<size_t>(wanted->number) : next_++;
    process.environment["CUDA_VISIBLE_DEVICES"] = names_[number % names_.size()];
    process.environment["LOCAL_RANK"] = "0";
    process.argv.insert(process.argv.end(), {"--set", absl::StrCat(key, "=cuda")});
  }

 private:
  const std::vector<std::string>& names_;
  size_t next_ = 0;
};

ServicePlan LearnerPlan(const config::Config& config, const MemoryEstimate& memory,
                        const RunPaths& paths, int64_t rank) {
  ServicePlan plan =
      Plan("learner", rank == 0 ? "learner" : absl::StrCat("learner-rank-", rank),
           rank == 0 ? "trains, keeps weights and checkpoints" : "trains its share of each batch",
           config.learner.threads, rank == 0 ? memory.learner_bytes : memory.rank_bytes, paths);
  // A group of ranks ends with its first; one that stands still would never see it.
  if (rank > 0) {
    plan.process.follows = "learner";
    plan.address.clear();
  }
  // Said in any case: the shell may have other ranks' variables.
  plan.process.environment["WORLD_SIZE"] = absl::StrCat(config.learner.ranks);
  plan.process.environment["RANK"] = absl::StrCat(rank);
  plan.process.environment["MASTER_ADDR"] = "127.0.0.1";
  plan.process.environment["MASTER_PORT"] = absl::StrCat(paths.rank_port);
  plan.process.environment["TORCHELASTIC_USE_AGENT_STORE"] = "False";
  return plan;
}

}  // namespace

std::vector<std::string> VisibleGpus(int count) {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  std::vector<std::string> names;
  if (visible != nullptr) names = absl::StrSplit(visible, ',');
  names.resize(static_cast<size_t>(count));
  for (size_t i = 0; visible == nullptr && i < names.size(); ++i) names[i] = absl::StrCat(i);
  return names;
}

absl::StatusOr<int> FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool found = fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (found) return ntohs(address.sin_port);
  return absl::UnavailableError(
      absl::StrCat("no free port for the learner's ranks: ", std::strerror(error)));
}

std::string SocketAddress(const std::string& socket_folder, const std::string& section) {
  return absl::StrCat("unix:", socket_folder, "/", section, ".sock");
}

int64_t ThreadsOfWorker(const config::Config& config, int processors) {
  if (config.rollout.threads > 0 || config.rollout.workers == 0) return config.rollout.threads;
  const int64_t left = processors - config.learner.ranks * config.learner.threads;
  return std::max<int64_t>(1, left / config.rollout.workers);
}

std::vector<ServicePlan> PlanServices(const config::Config& config, const MemoryEstimate& memory,
                                      const RunPaths& paths) {
  std::vector<ServicePlan> plans;
  Gpus gpus(paths.gpus);
  plans.push_back(Plan("verifier", "verifier", "grades responses in child processes", 1,
                       memory.verifier_bytes, paths));
  for (int64_t rank = 0; rank < config.learner.ranks; ++rank) {
    plans.push_back(LearnerPlan(config, memory, paths, rank));
    gpus.Take("learner.device", config.learner.device, plans.back().process);
  }
  plans.push_back(Plan("branch-scheduler", "branch-scheduler",
                       "owns the run: problems, leases, batches, records", 1,
                       memory.scheduler_bytes, paths));
  for (int64_t worker = 0; worker < config.rollout.workers; ++worker) {
    plans.push_back(Plan("rollout-worker", absl::StrCat("worker-", worker),
                         "samples responses with its copy of the policy", config.rollout.threads,
                         memory.worker_bytes, paths));
    gpus.Take("rollout.device", config.rollout.device, plans.back().process);
  }
  return plans;
}

}  // namespace attnrl::tools
