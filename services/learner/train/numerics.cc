// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/numerics.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

namespace attnrl::learner {

void FixNumerics(int threads) {
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  // Filling fresh memory with NaN is part of that mode and costs a pass over every tensor; nothing
  // here reads memory before it is written.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

}  // namespace attnrl::learner
