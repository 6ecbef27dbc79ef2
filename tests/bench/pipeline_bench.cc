// SPDX-License-Identifier: Apache-2.0
// What overlapping brings, and how well work is placed: a real scheduler on a real database, with
// workers, a verifier and a learner that only take time. Prints one JSON object.
//   pipeline_bench [workers=8] [slots=16] [problems=128] [responses=8] [steps=12] [branches=1]
//                  [data=10000] [token_ms=50] [commit_ms=15] [way_ms=5] [hoards=0] [real=0]
//                  [rpc=0] [modes=1]
// With modes=0 only the placement of one batch at a time is measured, not the modes. By default
// time jumps from one event to the next. With real=1 it passes, the scheduler has its own threads,
// and everybody sleeps; with rpc=1 they call it over gRPC, on a Unix socket.
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/base/status.h"
#include "common/json/json.h"
#include "common/testing/temporary_folder.h"
#include "tests/bench/pipeline/world.h"
#include "tests/bench/settings.h"

namespace attnrl::bench {
namespace {

using pipeline::PipelineMode;

// Of the learner, where each stage waits for the other: the rest of a step is sampling.
constexpr double kLearnShare = 0.3;

struct Stages {
  double step = 0;       // seconds
  double all_slots = 0;  // of a step, if every slot had a sample all the time
  Figures figures;
};

absl::StatusOr<Stages> Measure(WorldOptions options, PipelineMode mode, double learn) {
  options.mode = mode;
  options.learn = absl::Seconds(learn);
  TemporaryFolder folder(TemporaryFolder::On::kMemory);
  ATTNRL_ASSIGN_OR_RETURN(Figures figures, World(folder.path(), options).Run());
  Stages stages;
  stages.step = absl::ToDoubleSeconds(figures.StepTime());
  stages.all_slots = absl::ToDoubleSeconds(figures.BusyTime()) / options.workers / options.slots;
  stages.figures = std::move(figures);
  return stages;
}

// One batch at a time: how long its sampling takes against the least time possible.
absl::StatusOr<nlohmann::ordered_json> Placed(const WorldOptions& options) {
  ATTNRL_ASSIGN_OR_RETURN(const Stages stages, Measure(options, PipelineMode::kOnPolicy, 0));
  double ratio = 0, idle = 0;
  const Figures& figures = stages.figures;
  for (const auto& [batch, busy] : figures.busy) {
    const absl::Duration took = figures.sampled.at(batch) - figures.begun.at(batch);
    const absl::Duration share = busy / static_cast<double>(options.workers * options.slots);
    ratio += absl::FDivDuration(took, std::max(share, figures.longest.at(batch)));
    idle += 1 - absl::FDivDuration(share, took);
  }
  const auto count = static_cast<double>(figures.busy.size());
  return nlohmann::ordered_json{{"sampling_to_bound", ratio / count}, {"idle_share", idle / count}};
}

absl::StatusOr<nlohmann::ordered_json> Compare(const WorldOptions& options) {
  ATTNRL_ASSIGN_OR_RETURN(const Stages sampling, Measure(options, PipelineMode::kSequential, 0));
  const double learn = sampling.step * kLearnShare / (1 - kLearnShare);
  ATTNRL_ASSIGN_OR_RETURN(const Stages sequential,
                          Measure(options, PipelineMode::kSequential, learn));
  ATTNRL_ASSIGN_OR_RETURN(const Stages on_policy, Measure(options, PipelineMode::kOnPolicy, learn));
  ATTNRL_ASSIGN_OR_RETURN(const Stages alone, Measure(options, PipelineMode::kOverlapped, 0));
  ATTNRL_ASSIGN_OR_RETURN(const Stages overlapped,
                          Measure(options, PipelineMode::kOverlapped, learn));
  ATTNRL_ASSIGN_OR_RETURN(const Stages slow_learner,
                          Measure(options, PipelineMode::kOverlapped, 1.5 * alone.step));
  return nlohmann::ordered_json{
      {"learn_seconds", learn},
      {"sequential_step", sequential.step},
      {"on_policy_step", on_policy.step},
      {"overlapped_step", overlapped.step},
      {"sampling_step", sampling.step},
      {"speedup_over_both_stages", (sampling.step + learn) / overlapped.step},
      {"speedup_over_on_policy", on_policy.step / overlapped.step},
      {"speedup_over_sequential", sequential.step / overlapped.step},
      {"overlapped_to_slowest_stage", overlapped.step / std::max(alone.step, learn)},
      {"overlapped_to_all_slots_busy", overlapped.step / std::max(overlapped.all_slots, learn)},
      {"overlapped_to_slow_learner", slow_learner.step / (1.5 * alone.step)}};
}

int Run(int argc, char** argv) {
  Settings settings = {{"workers", 8},    {"slots", 16},   {"problems", 128}, {"responses", 8},
                       {"steps", 12},     {"branches", 1}, {"data", 10000},   {"token_ms", 50},
                       {"commit_ms", 15}, {"way_ms", 5},   {"hoards", 0},     {"real", 0},
                       {"rpc", 0},        {"modes", 1}};
  if (!Parse(argc, argv, &settings)) return 2;
  const auto number = [&](const char* key) { return static_cast<uint32_t>(settings.at(key)); };
  WorldOptions options;
  options.branches = number("branches") != 0;
  options.workers = number("workers");
  options.slots = number("slots");
  options.problems = number("problems");
  options.responses = number("responses");
  options.steps = number("steps");
  options.data = number("data");
  options.token = absl::Milliseconds(number("token_ms"));
  options.commit = absl::Milliseconds(number("commit_ms"));
  options.way = absl::Milliseconds(number("way_ms"));
  options.hoards = number("hoards") != 0;
  options.real = number("real") != 0;
  options.rpc = number("rpc") != 0;
  if (options.rpc && !options.real) {
    std::cerr << "error: rpc=1 needs real=1, as gRPC's time passes by itself" << std::endl;
    return 2;
  }
  nlohmann::ordered_json out = {{"benchmark", "pipeline"}};
  for (const auto& [key, value] : settings) out[key] = value;
  const auto figures = number("modes") != 0 ? Compare(options) : Placed(options);
  if (!figures.ok()) {
    std::cerr << "error: " << figures.status().message() << std::endl;
    return 1;
  }
  out.update(*figures);
  std::cout << PrintJson(out) << std::endl;
  return 0;
}

}  // namespace
}  // namespace attnrl::bench

int main(int argc, char** argv) { return attnrl::bench::Run(argc, argv); }
