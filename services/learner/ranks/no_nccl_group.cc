// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/nccl_group.h"

namespace attnrl::learner {

absl::StatusOr<std::unique_ptr<RankGroup>> AddNccl(std::unique_ptr<RankGroup>, at::Device,
                                                   absl::Duration) {
  return absl::FailedPreconditionError("this build has no NCCL: tools/build --cuda");
}

}  // namespace attnrl::learner
