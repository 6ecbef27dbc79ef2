// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attnrl::learner {

// Makes LibTorch give the same bits for the same work: deterministic algorithms and a fixed number
// of threads (`threads` >= 1; sums depend on it). Call first thing in the process, before any
// tensor is computed.
void FixNumerics(int threads);

}  // namespace attnrl::learner
