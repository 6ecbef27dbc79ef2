// SPDX-License-Identifier: Apache-2.0
// Decode throughput of the engine: a random model, prompts and responses of fixed length, all slots
// busy. Prints one JSON object. Flags come as key=value: hidden=128 layers=4 heads=4 kv_heads=2
// intermediate=0 (three times hidden) vocab=300 slots=64 prompt=99 response=170 sequences=256
// samples=1 (of each prompt) threads=1 deterministic=0 bfloat16=0. SmolLM2-135M is hidden=576
// layers=30 heads=9 kv_heads=3 intermediate=1536 vocab=49152.
#include <atomic>
#include <cstdint>
#include <ctime>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "common/json/json.h"
#include "common/model/files/weights.h"
#include "services/rollout_worker/engine/engine.h"
#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/runner/runner.h"
#include "tests/bench/settings.h"

namespace attnrl {
namespace {

absl::StatusOr<std::unique_ptr<rollout::Engine>> StartEngine(const Settings& settings) {
  const model::ModelConfig config =
      BenchModel(settings, settings.at("prompt") + settings.at("response"));
  rollout::RunnerOptions options;
  const int64_t slots = settings.at("slots");
  options.blocks = rollout::KvBlocks(slots, config.max_position_embeddings);
  options.deterministic = settings.at("deterministic") != 0;
  options.threads = static_cast<int>(settings.at("threads"));
  if (settings.at("bfloat16") != 0) options.dtype = model::DType::kBFloat16;
  auto runner = rollout::MakeRunner(options, config);
  if (!runner.ok()) return runner.status();
  auto model = rollout::MakeModel(config, model::RandomTensors(config, 1, options.dtype),
                                  options.deterministic);
  if (!model.ok()) return model.status();
  rollout::EngineOptions engine_options;
  engine_options.stepper = {.slots = slots, .max_tokens = config.max_position_embeddings};
  auto engine = rollout::Engine::Start(std::move(engine_options), *std::move(runner));
  engine->SetWeights(0, *std::move(model));
  return engine;
}

// Samples `count` sequences and waits for them.
void Sample(rollout::Engine& engine, const Settings& settings, int64_t count) {
  std::atomic<int64_t> left = count;
  absl::Notification done;
  for (int64_t i = 0; i < count; ++i) {
    rollout::Request request;
    request.id = static_cast<uint64_t>(i);
    const int64_t prompt = i / settings.at("samples");
    for (int64_t token = 0; token < settings.at("prompt"); ++token) {
      request.prompt_ids.push_back(static_cast<int32_t>((prompt + token) % settings.at("vocab")));
    }
    request.shared = {{{static_cast<uint32_t>(prompt)}, settings.at("prompt")}};
    request.max_new_tokens = settings.at("response");
    request.key = {.purpose = kSampleToken, .position = static_cast<uint32_t>(i)};
    engine.Submit(std::move(request), [&](const rollout::Completion&) {
      if (--left == 0) done.Notify();
    });
  }
  done.WaitForNotification();
}

// Processor time of this process: tells more than wall time on a busy machine.
double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

int Run(int argc, char** argv) {
  Settings settings = {{"hidden", 128},   {"layers", 4},       {"heads", 4},   {"kv_heads", 2},
                       {"vocab", 300},    {"intermediate", 0}, {"slots", 64},  {"prompt", 99},
                       {"response", 170}, {"sequences", 256},  {"samples", 1}, {"threads", 1},
                       {"bfloat16", 0},   {"deterministic", 0}};
  if (!Parse(argc, argv, &settings)) return 2;
  rollout::LimitThreads(static_cast<int>(settings["threads"]));
  auto engine = StartEngine(settings);
  if (!engine.ok()) {
    std::cerr << "error: " << engine.status().message() << std::endl;
    return 1;
  }
  Settings warm = settings;
  warm["response"] = 8;
  Sample(**engine, warm, settings["slots"]);
  const rollout::EngineStats before = (*engine)->stats();
  const absl::Duration start = Clock::Real().Monotonic();
  const double cpu = CpuSeconds();
  Sample(**engine, settings, settings["sequences"]);
  const double cpu_seconds = CpuSeconds() - cpu;
  const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
  (*engine)->Stop();
  const rollout::EngineStats after = (*engine)->stats();
  const auto generated = static_cast<double>(after.generated_tokens - before.generated_tokens);
  nlohmann::ordered_json json = {{"benchmark", "decode"}};
  for (const auto& [name, value] : settings) json[name] = value;
  json["seconds"] = seconds;
  json["cpu_seconds"] = cpu_seconds;
  json["prefill_seconds"] = after.prefill_seconds - before.prefill_seconds;
  json["steps"] = after.steps - before.steps;
  json["generated_tokens_per_second"] = generated / seconds;
  json["generated_tokens_per_cpu_second"] = generated / cpu_seconds;
  std::cout << PrintJson(json) << std::endl;
  return 0;
}

}  // namespace
}  // namespace attnrl

int main(int argc, char** argv) { return attnrl::Run(argc, argv); }
