// SPDX-License-Identifier: Apache-2.0
// FCI by recomputing: random sequences through a random model. Prints one JSON object with the
// fastest of `repeat` runs and what the process's peak memory grew by since a short sequence. Flags
// come as key=value: hidden=256 layers=6 heads=4 kv_heads=2 intermediate=0 (three
// times hidden) vocab=512 tokens=4096 step=32 sequences=1 threads=2 deterministic=0 bfloat16=0
// repeat=3.
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/philox.h"
#include "common/json/json.h"
#include "common/model/fci.h"
#include "common/model/files/weights.h"
#include "tests/bench/settings.h"

namespace attnrl {
namespace {

struct Sequences {
  std::vector<std::vector<int32_t>> ids;
  std::vector<StepRange> steps;
  std::vector<model::FciRequest> Requests() const {
    std::vector<model::FciRequest> requests;
    for (const auto& sequence : ids) requests.push_back({sequence, steps, std::nullopt});
    return requests;
  }
};

Sequences Draw(const Settings& settings, int64_t count, int64_t tokens) {
  RandomStream random({.seed = 1});
  Sequences sequences;
  sequences.ids.resize(static_cast<size_t>(count));
  for (auto& ids : sequences.ids) {
    for (int64_t i = 0; i < tokens; ++i) {
      const auto vocabulary = static_cast<uint64_t>(settings.at("vocab"));
      ids.push_back(static_cast<int32_t>(random.Below(vocabulary)));
    }
  }
  for (int64_t begin = 0; begin < tokens; begin += settings.at("step")) {
    sequences.steps.emplace_back(begin, std::min(tokens, begin + settings.at("step")));
  }
  return sequences;
}

// Processor time of this process: tells more than wall time on a busy machine.
double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

int64_t PeakBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{1024} * usage.ru_maxrss;
}

int Run(int argc, char** argv) {
  Settings settings = {{"hidden", 256},     {"layers", 6},  {"heads", 4},         {"kv_heads", 2},
                       {"intermediate", 0}, {"vocab", 512}, {"tokens", 4096},     {"step", 32},
                       {"sequences", 1},    {"threads", 2}, {"deterministic", 0}, {"bfloat16", 0},
                       {"repeat", 3}};
  if (!Parse(argc, argv, &settings)) return 2;
  at::set_num_threads(static_cast<int>(settings["threads"]));
  const model::ModelConfig config =
      BenchModel(settings, std::max(int64_t{64}, settings.at("tokens")));
  const auto dtype = settings["bfloat16"] != 0 ? model::DType::kBFloat16 : model::DType::kFloat32;
  const model::Transformer model(config, model::RandomTensors(config, 1, dtype),
                                 settings["deterministic"] != 0 ? model::Operators::FixedOrder()
                                                                : model::Operators::Standard());
  const Sequences warm = Draw(settings, 1, 64);
  const Sequences sequences = Draw(settings, settings["sequences"], settings["tokens"]);
  if (!model::RecomputeFci(model, warm.Requests(), {}).ok()) return 1;
  const int64_t peak = PeakBytes();
  double seconds = 1e9;
  double cpu_seconds = 1e9;
  for (int64_t i = 0; i < settings["repeat"]; ++i) {
    const absl::Duration start = Clock::Real().Monotonic();
    const double cpu = CpuSeconds();
    if (!model::RecomputeFci(model, sequences.Requests(), {}).ok()) return 1;
    cpu_seconds = std::min(cpu_seconds, CpuSeconds() - cpu);
    seconds = std::min(seconds, absl::ToDoubleSeconds(Clock::Real().Monotonic() - start));
  }
  nlohmann::ordered_json json = {{"benchmark", "fci"}};
  for (const auto& [name, value] : settings) json[name] = value;
  json["seconds"] = seconds;
  json["cpu_seconds"] = cpu_seconds;
  json["extra_bytes"] = PeakBytes() - peak;
  std::cout << PrintJson(json) << std::endl;
  return 0;
}

}  // namespace
}  // namespace attnrl

int main(int argc, char** argv) { return attnrl::Run(argc, argv); }
