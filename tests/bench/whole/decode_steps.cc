// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/whole/decode_steps.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/flops.h"
#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/engine/stepper.h"

namespace attnrl::bench {
namespace {

rollout::Request RequestOf(const DecodeShape& shape, int64_t number, int64_t vocabulary,
                           bool scored) {
  const int64_t group = number / shape.samples;
  rollout::Request request;
  request.id = static_cast<uint64_t>(number);
  for (int64_t token = 0; token < shape.prompt; ++token) {
    request.prompt_ids.push_back(static_cast<int32_t>((group * 31 + token * 7) % vocabulary));
  }
  request.shared = {{{static_cast<uint32_t>(group)}, shape.prompt}};
  request.max_new_tokens = shape.response;
  request.key = {.purpose = kSampleToken, .position = static_cast<uint32_t>(number)};
  if (scored) request.score_delta = 4;
  return request;
}

// Bytes of the matrices that every row is multiplied with.
double MatrixBytes(const model::ModelConfig& config, int64_t element) {
  double numbers = 0;
  for (const auto& [name, shape] : model::TensorShapes(config)) {
    const bool looked_up = name == "model.embed_tokens.weight" && !config.tie_word_embeddings;
    if (shape.size() == 2 && !looked_up) numbers += static_cast<double>(shape[0] * shape[1]);
  }
  return numbers * static_cast<double>(element);
}

// What a step with `before` more to come must move, and the keys that its rows see.
StepCost CostAt(const DecodeShape& shape, const model::ModelConfig& config, double seconds,
                double before, int64_t element) {
  const auto sequences = static_cast<double>(shape.groups * shape.samples);
  const double own = static_cast<double>(shape.response) - before;
  const double texts = static_cast<double>(shape.groups * shape.prompt);
  const auto token_bytes =
      static_cast<double>(2 * config.layers * config.kv_heads * config.head_dim * element);
  const double attended = sequences * (static_cast<double>(shape.prompt) + own);
  return {.seconds = seconds,
          .bytes = MatrixBytes(config, element) + (texts + sequences * own) * token_bytes,
          .flops = model::ForwardFlops(config, {.rows = shape.groups * shape.samples,
                                                .attended = static_cast<int64_t>(attended),
                                                .logit_rows = shape.groups * shape.samples}),
          .tokens = sequences};
}

}  // namespace

absl::StatusOr<StepCost> TimeDecoding(rollout::RunnerOptions options,
                                      const std::shared_ptr<const model::Transformer>& model,
                                      const DecodeShape& shape) {
  const model::ModelConfig& config = model->config();
  const int64_t sequences = shape.groups * shape.samples;
  const int64_t tokens = shape.prompt + shape.response;
  options.blocks = rollout::KvBlocks(sequences, tokens);
  ATTNRL_ASSIGN_OR_RETURN(const auto runner, rollout::MakeRunner(options, config));
  runner->Begin();
  rollout::Stepper stepper({.slots = sequences, .max_tokens = tokens}, *runner, Clock::Real());
  stepper.SetWeights(0, model);
  absl::Status status;
  int64_t finished = 0;
  for (int64_t number = 0; number < sequences; ++number) {
    const bool scored = options.segmenter != nullptr;
    ATTNRL_RETURN_IF_ERROR(stepper.Submit(RequestOf(shape, number, config.vocab_size, scored),
                                          [&](rollout::Completion done) {
                                            if (status.ok()) status = done.status;
                                            ++finished;
                                          }));
  }
  std::vector<double> seconds;  // of steps that do nothing but decode all
  while (stepper.Step()) {
    const rollout::StepReport& report = stepper.report();
    if (report.decode_rows == sequences && report.sampled_tokens == sequences) {
      seconds.push_back(absl::ToDoubleSeconds(report.duration));
    }
  }
  ATTNRL_RETURN_IF_ERROR(status);
  // In the last one sequences end, and scores are fetched.
  if (finished != sequences || static_cast<int64_t>(seconds.size()) <= shape.timed) {
    return absl::InternalError(absl::StrCat(finished, " of ", sequences, " sequences ended, ",
                                            seconds.size(), " steps decoded all"));
  }
  seconds.pop_back();
  const auto first = seconds.end() - shape.timed;
  std::nth_element(first, first + shape.timed / 2, seconds.end());
  const auto element = static_cast<int64_t>(c10::elementSize(model::ToScalarType(options.dtype)));
  return CostAt(shape, config, first[shape.timed / 2], static_cast<double>(shape.timed) / 2,
                element);
}

}  // namespace attnrl::bench
