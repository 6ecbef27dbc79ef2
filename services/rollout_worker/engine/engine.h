// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/queue.h"
#include "services/rollout_worker/engine/stepper.h"

namespace attnrl::rollout {

struct EngineOptions {
  StepperOptions stepper = {};
  // Commands that wait for the engine's thread; a caller beyond that blocks for a step at most.
  size_t max_commands = 4096;
  // Optional, called on the engine's thread after each step; must not block.
  std::function<void(const StepReport&)> observe = nullptr;
};

// Sums over all steps so far.
struct EngineStats {
  int64_t prefill_tokens = 0;
  int64_t generated_tokens = 0;
  int64_t steps = 0;
  // Seconds in the steps; a step's time is divided over prompt and decode rows by their number.
  double prefill_seconds = 0;
  double decode_seconds = 0;
};

// Samples sequences with continuous batching in a thread of its own. Everything it does comes in
// through one command queue, in order: requests, aborts, pause, resume, new weights. Between steps
// it takes what has come; with nothing to do it waits for the next command, without polling.
// All methods may be called from any thread, but not Stop from a callback. Completions are called
// on the engine's thread: they must be quick, and may call Submit, Abort and the like only where
// max_commands is not exceeded by that.
//
//   auto engine = Engine::Start(options, MakeRunner(runner_options, config));
//   engine->SetWeights(0, transformer);
//   engine->Submit({.id = 1, .prompt_ids = ids, .max_new_tokens = 64}, [](Completion c) { ... });
//   engine->Stop();   // unfinished requests complete with CANCELLED
class Engine {
 public:
  static std::unique_ptr<Engine> Start(EngineOptions options, std::unique_ptr<StepRunner> runner,
                                       const Clock& clock = Clock::Real());
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // `done` is called exactly once, also for a request that is refused (see Stepper::Submit) and
  // with CANCELLED after Stop.
  void Submit(Request request, CompletionCallback done);
  // Ends a request with CANCELLED; nothing happens when it has ended.
  void Abort(uint64_t id);
  // No steps until Resume; sequences keep their slots.
  void Pause();
  void Resume();
  // See Stepper.
  void SetWeights(uint32_t version, std::shared_ptr<const model::Transformer> weights);
  void DropWeights(uint32_t version);
  // Tokens sampled so far, by request in a slot. `done` is called on the engine's thread, between
  // steps: never by an engine that hangs.
  void AskProgress(std::function<void(std::map<uint64_t, uint64_t>)> done);
  // Ends the thread. Idempotent.
  void Stop();

  EngineStats stats() const;

 private:
  struct SubmitCommand {
    Request request;
    CompletionCallback done;
  };
  struct AbortCommand {
    uint64_t id;
  };
  struct PauseCommand {
    bool pause;
  };
  struct WeightsCommand {
    uint32_t version;
    std::shared_ptr<const model::Transformer> weights;
  };
  struct DropCommand {
    uint32_t version;
  };
  struct ProgressCommand {
    std::function<void(std::map<uint64_t, uint64_t>)> done;
  };
  using Command = std::variant<SubmitCommand, AbortCommand, PauseCommand, WeightsCommand,
                               DropCommand, ProgressCommand>;

  Engine(EngineOptions options, std::unique_ptr<StepRunner> runner, const Clock& clock);
  void Run();
  bool TakeCommands(bool wait);
  void Apply(Command command);
  void Count(const StepReport& report);

  const EngineOptions options_;
  const std::unique_ptr<StepRunner> runner_;
  BoundedQueue<Command> commands_;
  // The engine's thread only.
  Stepper stepper_;
  bool paused_ = false;

  mutable absl::Mutex mutex_;
  EngineStats stats_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace attnrl::rollout
