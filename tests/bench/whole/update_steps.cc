// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/whole/update_steps.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/observe/metrics.h"

namespace attnrl::bench {
namespace {

scheduler::TrainingBatch MakeTree(const TreeShape& shape, int64_t vocabulary) {
  RandomStream random({.seed = 1});
  const auto draw = [&](int64_t count) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < count; ++i) {
      ids.push_back(static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocabulary))));
    }
    return ids;
  };
  scheduler::TrainingBatch batch;
  batch.problems = 1;
  const std::vector<int32_t> prompt = draw(shape.prompt), response = draw(shape.response);
  const auto add = [&](std::vector<int32_t> ids) {
    scheduler::TrainingSample sample;
    const auto tokens = static_cast<uint32_t>(ids.size());
    sample.prompt_ids = prompt;
    sample.logprobs.assign(tokens, -12.0F);
    sample.advantages = {{tokens, batch.samples.size() % 2 == 0 ? 1.0 : -1.0}};
    sample.response_ids = std::move(ids);
    batch.samples.push_back(std::move(sample));
  };
  add(response);
  for (const int64_t point : {shape.response / 4, shape.response / 2}) {
    for (int child = 0; child < 2; ++child) {
      std::vector<int32_t> ids(response.begin(), response.begin() + point);
      const std::vector<int32_t> rest = draw(shape.response - point);
      ids.insert(ids.end(), rest.begin(), rest.end());
      add(std::move(ids));
    }
  }
  return batch;
}

}  // namespace

absl::StatusOr<StepCost> TimeUpdate(const model::ModelConfig& config, const model::Tensors& weights,
                                    learner::Prefixes prefixes, const TreeShape& shape) {
  constexpr int kUpdates = 4;
  learner::TrainerOptions options;
  options.objective.kl_weight = 0;
  options.max_tokens_per_pass = shape.max_tokens_per_pass;
  options.prefixes = prefixes;
  learner::Trainer trainer(config, weights, config.dtype, options);
  const at::Device device = trainer.parameters().values().device();
  const scheduler::TrainingBatch batch = MakeTree(shape, config.vocab_size);
  const auto counted = observe::GetCounter(observe::kModelFlopsTotal, {"learner"});
  StepCost cost;
  for (const scheduler::TrainingSample& sample : batch.samples) {
    cost.tokens += static_cast<double>(sample.prompt_ids.size() + sample.response_ids.size());
  }
  for (int update = 0; update < kUpdates; ++update) {
    const double before = counted.Value();
    WaitFor(device);
    const absl::Duration start = Clock::Real().Monotonic();
    ATTNRL_ASSIGN_OR_RETURN(const auto statistics, trainer.Train(batch, nullptr));
    WaitFor(device);
    const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
    if (statistics.optimizer_steps != 1) return absl::InternalError("an update was skipped");
    cost.flops = counted.Value() - before;
    if (update == 1 || (update > 1 && seconds < cost.seconds)) cost.seconds = seconds;
  }
  return cost;
}

}  // namespace attnrl::bench
