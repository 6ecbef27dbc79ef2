// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/learner/ranks/rank_group.h"

namespace attnrl::learner {

// The ranks of `host`, which have a GPU each: tensors on `gpu` go from GPU to GPU by NCCL, others
// as before. Every rank calls it. A rank that doesn't answer for `timeout` is named; the others of
// its transfer are named with it, as NCCL doesn't say which it waits for. FAILED_PRECONDITION in a
// build without CUDA and where two ranks take the same GPU, UNAVAILABLE where NCCL can't connect
// them.
absl::StatusOr<std::unique_ptr<RankGroup>> AddNccl(std::unique_ptr<RankGroup> host, at::Device gpu,
                                                   absl::Duration timeout);

}  // namespace attnrl::learner
