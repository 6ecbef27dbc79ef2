// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/processes/health.h"

#include <utility>

namespace attnrl::tools {

HealthWatch::HealthWatch(Answered answered, Use use, Clock& clock, Options options)
    : answered_(std::move(answered)), use_(std::move(use)), clock_(clock), options_(options) {}

std::vector<std::string> HealthWatch::Look(const std::vector<Supervisor::Running>& children) {
  const absl::Duration now = clock_.Monotonic();
  const bool stood_still = looked_.has_value() && now - *looked_ > options_.gap;
  looked_ = now;
  std::vector<std::string> frozen;
  for (const Supervisor::Running& running : children) {
    Child& child = children_[running.name];
    if (child.pid != running.pid) child = Child{.pid = running.pid};
    const bool answered = answered_(running.name);
    child.has_answered |= answered;
    if (answered || stood_still || !child.has_answered) {
      child.heard = now;
      child.processor_seconds = use_(child.pid).processor_seconds;
    } else if (IsFrozen(child, now)) {
      child.has_answered = false;
      frozen.push_back(running.name);
    }
  }
  return frozen;
}

bool HealthWatch::IsFrozen(Child& child, absl::Duration now) const {
  const absl::Duration silence = now - child.heard;
  if (silence < options_.silence) return false;
  const ProcessUse use = use_(child.pid);
  const double used = use.processor_seconds - child.processor_seconds;
  if (!use.traced && used < options_.busy * absl::ToDoubleSeconds(silence)) return true;
  child.heard = now;
  child.processor_seconds = use.processor_seconds;
  return false;
}

}  // namespace attnrl::tools
