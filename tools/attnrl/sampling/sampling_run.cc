// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/sampling_run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/model/files/weights.h"
#include "common/rpc/shutdown.h"
#include "common/text/steps.h"
#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/runner/runner.h"

namespace attnrl::tools {
namespace {

// Samples in work at once, for each slot: enough that no slot waits while one sample takes as long
// as many others, and a bound for what is finished but not yet in order.
constexpr int64_t kWindowPerSlot = 32;
constexpr absl::Duration kLookUp = absl::Milliseconds(200);

int64_t NewTokens(const SamplingJob& job, size_t prompt, int64_t context) {
  const int64_t left = context - static_cast<int64_t>(job.prompts[prompt].size());
  return job.max_new_tokens > 0 ? std::min(job.max_new_tokens, left) : left;
}

// The longest sequence of the job, in tokens.
int64_t LongestSequence(const SamplingJob& job, int64_t context) {
  int64_t longest = 2;
  for (size_t i = 0; i < job.prompts.size(); ++i) {
    longest =
        std::max(longest, static_cast<int64_t>(job.prompts[i].size()) + NewTokens(job, i, context));
  }
  return longest;
}

// Finished samples on their way from the engine's thread to the caller's.
class Finished {
 public:
  void Put(size_t index, rollout::Completion completion) {
    absl::MutexLock lock(&mutex_);
    completions_[index] = std::move(completion);
  }
  // The sample `index`, if it is finished within `timeout`.
  std::optional<rollout::Completion> Take(size_t index, absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    const auto there = [this, index]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return completions_.contains(index);
    };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&there), timeout)) return std::nullopt;
    auto node = completions_.extract(index);
    return std::move(node.mapped());
  }

 private:
  absl::Mutex mutex_;
  std::map<size_t, rollout::Completion> completions_ ABSL_GUARDED_BY(mutex_);
};

rollout::Request MakeRequest(const SamplingJob& job, size_t index, int64_t context) {
  const size_t prompt = index / static_cast<size_t>(job.samples);
  const size_t sample = index % static_cast<size_t>(job.samples);
  rollout::Request request;
  request.id = index;
  request.prompt_ids = job.prompts[prompt];
  request.shared = {
      {{static_cast<uint32_t>(prompt)}, static_cast<int64_t>(request.prompt_ids.size())}};
  request.max_new_tokens = NewTokens(job, prompt, context);
  request.sampling = job.sampling;
  request.key = {.seed = job.seed,
                 .purpose = kSampleToken,
                 .position = static_cast<uint32_t>(prompt),
                 .node = static_cast<uint32_t>(sample)};
  request.stop_ids = job.stop_ids;
  request.stop_when = job.stop_when;
  return request;
}

}  // namespace

absl::StatusOr<std::unique_ptr<rollout::Engine>> StartEngine(const ModelFlags& flags,
                                                             const ModelFolder& folder,
                                                             const SamplingJob& job) {
  rollout::LimitThreads(folder.threads);
  rollout::RunnerOptions options;
  const int64_t longest = LongestSequence(job, folder.config.max_position_embeddings);
  const int64_t slots = std::clamp<int64_t>(static_cast<int64_t>(job.size()), 1, job.max_batch);
  options.threads = folder.threads;
  options.dtype = folder.dtype;
  if (job.scores) {
    options.segmenter = std::make_shared<const text::StepSegmenter>(folder.tokenizer);
    options.online_scores = true;
  }
  ATTNRL_ASSIGN_OR_RETURN(options.device, device::ParseDevice(flags.device));
  ATTNRL_ASSIGN_OR_RETURN(model::Tensors tensors, model::LoadTensors(flags.model, folder.config,
                                                                     folder.dtype, options.device));
  ATTNRL_ASSIGN_OR_RETURN(const device::DeviceMemory memory, device::MemoryOf(options.device));
  ATTNRL_ASSIGN_OR_RETURN(
      options.blocks,
      rollout::ChooseKvBlocks({.slots = slots,
                               .max_tokens = longest,
                               .block_bytes = rollout::KvBlockBytes(options, folder.config),
                               .memory_limit = memory.total,
                               .available = memory.free}));
  ATTNRL_ASSIGN_OR_RETURN(auto model, rollout::MakeModel(folder.config, std::move(tensors), false));
  ATTNRL_ASSIGN_OR_RETURN(auto runner, rollout::MakeRunner(options, folder.config));
  rollout::EngineOptions engine_options;
  engine_options.stepper = {.slots = slots, .max_tokens = longest};
  std::unique_ptr<rollout::Engine> engine =
      rollout::Engine::Start(std::move(engine_options), std::move(runner));
  engine->SetWeights(0, std::move(model));
  return engine;
}

absl::Status RunSampling(rollout::Engine& engine, const SamplingJob& job, int64_t context,
                         Progress& progress,
                         const std::function<absl::Status(size_t, rollout::Completion)>& done) {
  const rpc::ShutdownSignal& shutdown = rpc::ShutdownSignal::Install();
  auto finished = std::make_shared<Finished>();
  const auto window = static_cast<size_t>(kWindowPerSlot * job.max_batch);
  size_t submitted = 0;
  for (size_t next = 0; next < job.size();) {
    for (; submitted < std::min(job.size(), next + window); ++submitted) {
      engine.Submit(MakeRequest(job, submitted, context),
                    [finished, index = submitted](rollout::Completion completion) {
                      finished->Put(index, std::move(completion));
                    });
    }
    std::optional<rollout::Completion> completion = finished->Take(next, kLookUp);
    if (shutdown.requested()) {
      return absl::CancelledError(absl::StrCat("stopped after ", next, " of ", job.size(),
                                               " samples; run the command again for all of them"));
    }
    progress.Update(static_cast<int64_t>(next));
    if (!completion) continue;
    ATTNRL_RETURN_IF_ERROR(completion->status);
    ATTNRL_RETURN_IF_ERROR(done(next, *std::move(completion)));
    ++next;
  }
  progress.Update(static_cast<int64_t>(job.size()));
  return absl::OkStatus();
}

}  // namespace attnrl::tools
