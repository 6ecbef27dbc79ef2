// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/attention/fci/fci.h"
#include "common/model/transformer.h"

namespace attnrl::model {

using attention::FciOptions;

// One sequence to score; what it points to must outlive the call.
struct FciRequest {
  std::span<const int32_t> ids;  // prompt + response, at least one of each
  std::span<const StepRange>
      steps;  // range 0 is the prompt; they cover ids (attention::FciSequence)
  std::optional<int64_t> think_end_step = std::nullopt;  // text::StepSegmenter::ThinkEndStep
};

// FCI by one pass over each sequence ("recompute"; common/attention/fci/README.md, "Definition"):
// one score a step, in the order of the requests. No logits, no gradients. With FixedOrder
// operators a sequence's scores have the same bits whatever it is batched with and on any number of
// threads; with Standard ones the batch may show in the last bits. InvalidArgument for what breaks
// the rules of FciRequest, and for ids or lengths that the model doesn't have. What LibTorch throws
// passes through. Blocks; any thread. Sequences share passes of up to `tokens_per_pass` tokens (a
// longer one has its own).
absl::StatusOr<std::vector<std::vector<float>>> RecomputeFci(const Transformer& model,
                                                             std::span<const FciRequest> requests,
                                                             const FciOptions& options,
                                                             int64_t tokens_per_pass = 4096);

// The same for one sequence.
absl::StatusOr<std::vector<float>> RecomputeFci(const Transformer& model,
                                                std::span<const int32_t> ids,
                                                std::span<const StepRange> steps,
                                                std::optional<int64_t> think_end_step,
                                                const FciOptions& options);

}  // namespace attnrl::model
