// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/engine.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/time/time.h"

namespace attnrl::rollout {
namespace {

// An idle engine looks up this often though nothing came: every wait has a deadline.
constexpr absl::Duration kIdleWait = absl::Minutes(1);

}  // namespace

std::unique_ptr<Engine> Engine::Start(EngineOptions options, std::unique_ptr<StepRunner> runner,
                                      const Clock& clock) {
  std::unique_ptr<Engine> engine(new Engine(std::move(options), std::move(runner), clock));
  engine->thread_ = std::thread([raw = engine.get()] { raw->Run(); });
  return engine;
}

Engine::Engine(EngineOptions options, std::unique_ptr<StepRunner> runner, const Clock& clock)
    : options_(std::move(options)),
      runner_(std::move(runner)),
      commands_(options_.max_commands),
      stepper_(options_.stepper, *runner_, clock) {}

Engine::~Engine() { Stop(); }

void Engine::Submit(Request request, CompletionCallback done) {
  // The queue drops what it refuses, so the callback is kept outside until it is taken.
  auto shared = std::make_shared<CompletionCallback>(std::move(done));
  const uint64_t id = request.id;
  const bool taken = commands_.Push(SubmitCommand{
      std::move(request), [shared](Completion result) { (*shared)(std::move(result)); }});
  if (taken) return;
  Completion result;
  result.id = id;
  result.status = absl::CancelledError("the engine has stopped");
  (*shared)(std::move(result));
}

void Engine::Abort(uint64_t id) { commands_.Push(AbortCommand{id}); }
void Engine::Pause() { commands_.Push(PauseCommand{true}); }
void Engine::Resume() { commands_.Push(PauseCommand{false}); }
void Engine::SetWeights(uint32_t version, std::shared_ptr<const model::Transformer> weights) {
  commands_.Push(WeightsCommand{version, std::move(weights)});
}
void Engine::DropWeights(uint32_t version) { commands_.Push(DropCommand{version}); }

void Engine::AskProgress(std::function<void(std::map<uint64_t, uint64_t>)> done) {
  commands_.Push(ProgressCommand{std::move(done)});
}

void Engine::Stop() {
  commands_.Close();
  if (thread_.joinable()) thread_.join();
}

EngineStats Engine::stats() const {
  absl::MutexLock lock(&mutex_);
  return stats_;
}

void Engine::Run() {
  runner_->Begin();
  bool idle = true;
  // Commands apply between steps only, so the stepper needs no lock; an idle engine waits for one.
  while (TakeCommands(idle)) {
    idle = paused_ || !stepper_.Step();
    if (!idle) Count(stepper_.report());
  }
  TakeCommands(false);  // what was queued just before the queue was closed
  stepper_.AbortAll();
}

// Applies the commands that have come, after waiting for one if `wait`. False once the queue is
// closed.
bool Engine::TakeCommands(bool wait) {
  std::optional<Command> command = commands_.Pop(wait ? kIdleWait : absl::ZeroDuration());
  while (command) {
    Apply(std::move(*command));
    command = commands_.Pop(absl::ZeroDuration());
  }
  return !commands_.closed();
}

void Engine::Apply(Command command) {
  if (auto* submit = std::get_if<SubmitCommand>(&command)) {
    const uint64_t id = submit->request.id;
    // A copy: a request that is refused is dropped together with its callback.
    const CompletionCallback done = submit->done;
    absl::Status status = stepper_.Submit(std::move(submit->request), std::move(submit->done));
    if (status.ok()) return;
    Completion refused;
    refused.id = id;
    refused.status = std::move(status);
    done(std::move(refused));
  } else if (auto* abort = std::get_if<AbortCommand>(&command)) {
    stepper_.Abort(abort->id);
  } else if (auto* pause = std::get_if<PauseCommand>(&command)) {
    paused_ = pause->pause;
  } else if (auto* weights = std::get_if<WeightsCommand>(&command)) {
    stepper_.SetWeights(weights->version, std::move(weights->weights));
  } else if (auto* drop = std::get_if<DropCommand>(&command)) {
    stepper_.DropWeights(drop->version);
  } else if (auto* progress = std::get_if<ProgressCommand>(&command)) {
    progress->done(stepper_.Progress());
  }
}

void Engine::Count(const StepReport& report) {
  if (options_.observe) options_.observe(report);
  const double seconds = absl::ToDoubleSeconds(report.duration);
  const double rows = static_cast<double>(report.prefill_rows + report.decode_rows);
  // Prompts and single tokens go through one pass: their share of the rows is the best estimate.
  const double prefill = seconds * static_cast<double>(report.prefill_rows) / std::max(rows, 1.0);
  absl::MutexLock lock(&mutex_);
  ++stats_.steps;
  stats_.prefill_tokens += report.prefill_rows;
  stats_.generated_tokens += report.sampled_tokens;
  stats_.prefill_seconds += prefill;
  stats_.decode_seconds += seconds - prefill;
}

}  // namespace attnrl::rollout
