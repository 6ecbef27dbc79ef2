// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/branch_scheduler/client/work_stream.h"
#include "services/branch_scheduler/scheduler.h"
#include "services/branch_scheduler/types.h"
#include "tests/bench/pipeline/timeline.h"

namespace attnrl::bench {

// A worker's way to the scheduler, used from the timeline's thread; what it hears comes in there.
class Link {
 public:
  using Hear = std::function<void(scheduler::SchedulerMessage)>;
  virtual ~Link() = default;
  virtual absl::Status Send(scheduler::WorkerMessage message) = 0;
};

// By calls of this process's scheduler, and over a stream of its own. Whatever is named must
// outlive the link, but for the scheduler, which has to end before.
absl::StatusOr<std::unique_ptr<Link>> LinkByCalls(scheduler::Scheduler* scheduler,
                                                  Timeline* timeline,
                                                  const scheduler::Register& hello,
                                                  Link::Hear hear);
absl::StatusOr<std::unique_ptr<Link>> LinkByStream(scheduler::WorkConnector* connector,
                                                   Timeline* timeline,
                                                   const scheduler::Register& hello,
                                                   Link::Hear hear);

}  // namespace attnrl::bench
