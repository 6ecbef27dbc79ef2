// SPDX-License-Identifier: Apache-2.0
// A real scheduler process under many simulated workers, over gRPC: how soon a worker that has sent
// a result has its next lease, how many results a second are durable, and what memory that takes.
// The workers and a verifier that finds every second response right are this process; there is no
// learner but its first request. Prints one JSON object.
//   scheduler_bench [workers=1000] [credits=1] [think_ms=1000] [tokens=300] [seconds=10]
// The scheduler is the attnrl-branch-scheduler beside this program; TMPDIR names the disk that it
// syncs.
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/rpc/server.h"
#include "services/branch_scheduler/client/admin.h"
#include "services/branch_scheduler/client/batch_source.h"
#include "services/branch_scheduler/testing/worker_swarm.h"
#include "services/verifier/rpc/verifier_service.h"
#include "tests/bench/settings.h"

extern char** environ;

namespace attnrl {
namespace {

using scheduler::testing::WorkerSwarm;
namespace fs = std::filesystem;

constexpr absl::Duration kPatience = absl::Minutes(2);
constexpr absl::Duration kWarmUp = absl::Seconds(3);

// The scheduler's process; killed with this object.
class Process {
 public:
  explicit Process(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (::posix_spawn(&pid_, words[0].c_str(), nullptr, nullptr, arguments.data(), environ) != 0) {
      pid_ = -1;
    }
  }
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // "VmRSS" or "VmHWM", in megabytes.
  double Megabytes(const std::string& what) const {
    std::ifstream status(absl::StrCat("/proc/", pid_, "/status"));
    for (std::string line; std::getline(status, line);) {
      if (line.rfind(what + ":", 0) == 0) return std::stod(line.substr(what.size() + 1)) / 1024;
    }
    return 0;
  }

  // Processor time that it has used, in seconds.
  double CpuSeconds() const {
    std::ifstream file(absl::StrCat("/proc/", pid_, "/stat"));
    std::string stat;
    std::getline(file, stat);
    // The 12th and 13th field behind the name, which ends with the last parenthesis.
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

 private:
  pid_t pid_ = -1;
};

double OwnCpuSeconds() {
  return static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC);
}

void WriteRun(const fs::path& folder, const fs::path& model, int64_t problems) {
  std::ofstream data(folder / "train.jsonl");
  for (int i = 0; i < 1000; ++i) {
    data << absl::StrCat(R"({"id":"p)", i, R"(","prompt":"a=)", i % 10,
                         R"(;?a\n\n","answers":["1"]})", "\n");
  }
  // Two batches are sampled before anything is trained; by default no measurement empties them.
  std::ofstream(folder / "run.yaml")
      << "model: {path: " << model.string() << "}\n"
      << "algorithm: {name: grpo, sampling: {initial_responses: 8, batch_problems: " << problems
      << ", batch_min: " << problems << ", batch_max: " << problems << "}}\n"
      << "learner: {minibatch_problems: " << problems << "}\n"
      << R"(data: {train: train.jsonl}
run: {steps: 10, seed: 1}
rollout: {max_prompt_tokens: 64, max_response_tokens: 16384}
)";
}

double Quantile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<size_t>(at)] * 1e3;
}

std::vector<verifier::GradeResult> Judge(const std::vector<verifier::GradeRequest>& requests) {
  std::vector<verifier::GradeResult> results;
  for (const verifier::GradeRequest& request : requests) {
    verifier::GradeResult& result = results.emplace_back();
    result.id = request.id;
    result.status = verifier::GradeStatus::kGraded;
    result.correct = request.response.size() % 2 == 0;
    result.matched = result.correct ? 0 : -1;
  }
  return results;
}

template <typename Condition>
absl::Status WaitFor(const char* what, Condition condition) {
  const absl::Duration end = Clock::Real().Monotonic() + kPatience;
  while (!condition()) {
    if (Clock::Real().Monotonic() > end) {
      return absl::DeadlineExceededError(absl::StrCat("waited in vain for ", what));
    }
    Clock::Real().Sleep(absl::Milliseconds(20));
  }
  return absl::OkStatus();
}

// Responses of the first batch that are durable; -1 where nobody answers.
int64_t Sampled(scheduler::Admin& admin) {
  const auto status = admin.Status(absl::Seconds(30));
  return status.ok() && !status->batches.empty() ? status->batches[0].initial_done : -1;
}

// Whether a process accepts connections there. What a killed one left refuses them.
bool Listens(const fs::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool listens =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(probe);
  return listens;
}

absl::StatusOr<nlohmann::ordered_json> Measure(const fs::path& folder, const fs::path& binaries,
                                               const Settings& settings) {
  WriteRun(folder, fs::current_path() / "deploy/local/model", settings.at("problems"));
  verifier::VerifierService judge([](const std::vector<verifier::GradeRequest>& requests,
                                     const auto&) { return Judge(requests); });
  ATTNRL_ASSIGN_OR_RETURN(
      const auto verifier,
      rpc::Server::Start({.address = "unix:" + (folder / "v.sock").string()}, {&judge}));
  const std::string address = "unix:" + (folder / "s.sock").string();
  const std::vector<std::string> command = {(binaries / "attnrl-branch-scheduler").string(),
                                            "--config",
                                            (folder / "run.yaml").string(),
                                            "--run-dir",
                                            folder.string(),
                                            "--set",
                                            "scheduler.address=" + address,
                                            "--set",
                                            "verifier.address=" + verifier->address(),
                                            "--set",
                                            "observe.metrics_address=127.0.0.1:0"};
  auto running = std::make_unique<Process>(command);
  const Process& process = *running;
  ATTNRL_ASSIGN_OR_RETURN(auto admin, scheduler::ConnectAdmin(address));
  ATTNRL_RETURN_IF_ERROR(
      WaitFor("the scheduler", [&] { return admin->Status(absl::Seconds(5)).ok(); }));
  const double idle = process.Megabytes("VmRSS");
  ATTNRL_ASSIGN_OR_RETURN(auto batches, scheduler::ConnectBatchSource(address));
  std::thread learner([&batches] {
    (void)batches->NextBatch({.batch = 0, .version = {0, "digest"}}, [](const std::string&) {});
  });

  WorkerSwarm::Options options;
  options.address = address;
  options.workers = static_cast<uint32_t>(settings.at("workers"));
  options.credits = static_cast<uint32_t>(settings.at("credits"));
  options.think = absl::Milliseconds(settings.at("think_ms"));
  options.tokens = static_cast<uint32_t>(settings.at("tokens"));
  auto swarm = WorkerSwarm::Start(options);
  absl::Status status = swarm.status();
  if (status.ok()) {
    status = WaitFor("all workers", [&] { return (*swarm)->connected() == options.workers; });
  }
  WorkerSwarm::Figures figures;
  double seconds = 0, status_ms = 0, cpu = 0, own_cpu = 0;
  const double connected = process.Megabytes("VmRSS");
  if (status.ok()) {
    Clock::Real().Sleep(kWarmUp);
    (*swarm)->Take();
    cpu = process.CpuSeconds();
    own_cpu = OwnCpuSeconds();
    const absl::Duration start = Clock::Real().Monotonic();
    while (seconds < static_cast<double>(settings.at("seconds"))) {
      Clock::Real().Sleep(absl::Milliseconds(500));
      const absl::Duration asked = Clock::Real().Monotonic();
      status.Update(admin->Status(absl::Seconds(30)).status());
      const absl::Duration now = Clock::Real().Monotonic();
      status_ms = std::max(status_ms, absl::ToDoubleMilliseconds(now - asked));
      seconds = absl::ToDoubleSeconds(now - start);
    }
    figures = (*swarm)->Take();
    cpu = process.CpuSeconds() - cpu;
    own_cpu = OwnCpuSeconds() - own_cpu;
  }
  const uint32_t still = status.ok() ? (*swarm)->connected() : 0;
  const int64_t restart = settings.at("restart");
  if (status.ok() && restart > 0) {
    status = WaitFor("the results", [&] { return Sampled(*admin) >= restart; });
  }
  batches->Cancel();
  learner.join();
  ATTNRL_RETURN_IF_ERROR(status);
  nlohmann::ordered_json out = {{"benchmark", "scheduler"}};
  for (const auto& [key, value] : settings) out[key] = value;
  const auto results = static_cast<double>(figures.ack_seconds.size());
  out["connected"] = still;
  out["results_per_second"] = results / seconds;
  out["result_bytes"] = static_cast<double>(figures.bytes) / std::max(results, 1.0);
  out["refused"] = figures.refused;
  out["cpu_us_per_result"] = cpu * 1e6 / std::max(results, 1.0);
  out["bench_cpu_us_per_result"] = own_cpu * 1e6 / std::max(results, 1.0);
  out["lease_ms_p50"] = Quantile(figures.lease_seconds, 0.5);
  out["lease_ms_p99"] = Quantile(figures.lease_seconds, 0.99);
  out["ack_ms_p50"] = Quantile(figures.ack_seconds, 0.5);
  out["ack_ms_p99"] = Quantile(figures.ack_seconds, 0.99);
  out["status_ms_max"] = status_ms;
  out["idle_mb"] = idle;
  out["connected_mb"] = connected;
  out["peak_mb"] = process.Megabytes("VmHWM");
  if (restart > 0) {
    out["sampled"] = Sampled(*admin);
    // With every connection, so that no one waits before it tries again.
    swarm->reset();
    batches.reset();
    admin.reset();
    running.reset();
    const absl::Duration start = Clock::Real().Monotonic();
    running = std::make_unique<Process>(command);
    ATTNRL_RETURN_IF_ERROR(
        WaitFor("the next scheduler", [&] { return Listens(folder / "s.sock"); }));
    ATTNRL_ASSIGN_OR_RETURN(admin, scheduler::ConnectAdmin(address));
    out["sampled_known"] = Sampled(*admin);
    out["restart_seconds"] = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
  }
  return out;
}

int Run(int argc, char** argv) {
  Settings settings = {{"workers", 1000}, {"credits", 1},      {"think_ms", 1000}, {"tokens", 300},
                       {"seconds", 10},   {"problems", 25000}, {"restart", 0}};
  if (!Parse(argc, argv, &settings)) return 2;
  std::string folder = (fs::temp_directory_path() / "attnrl-bench-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  fs::create_directories(folder + "/logs");
  const auto result = Measure(folder, fs::read_symlink("/proc/self/exe").parent_path(), settings);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
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
