// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/seats.h"

#include "absl/strings/str_cat.h"

namespace attnrl::rpc {

absl::Status Seats::Run(const std::function<absl::Status()>& work) {
  {
    absl::MutexLock lock(&mutex_);
    if (taken_ == seats_) {
      return absl::ResourceExhaustedError(
          absl::StrCat(seats_, " calls of ", method_, " are under way, as many as are allowed"));
    }
    ++taken_;
  }
  absl::Status status = work();
  absl::MutexLock lock(&mutex_);
  --taken_;
  return status;
}

}  // namespace attnrl::rpc
