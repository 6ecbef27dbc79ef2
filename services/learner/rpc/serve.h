// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "common/config/config.h"
#include "common/rpc/shutdown.h"
#include "common/service/service_main.h"

namespace attnrl::learner {

// Runs the learner: loads or makes its state, serves its weights, trains. After the run's last
// batch it goes on serving until `shutdown`. On shutdown it finishes the batch in training if that
// takes seconds, writes a checkpoint, and returns; CANCELLED where there are several ranks and the
// run has not ended, so that whoever starts them starts all again. InputError where the
// configuration, the model or an address is at fault; RESOURCE_EXHAUSTED when the disk is full.
absl::Status Serve(const config::Config& config, const service::Flags& flags,
                   const rpc::ShutdownSignal& shutdown);

}  // namespace attnrl::learner
