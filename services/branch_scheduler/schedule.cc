// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/schedule.h"

namespace attnrl::scheduler {
namespace {

uint32_t Behind(uint32_t base, uint32_t batch, uint32_t lag) {
  return batch < base + lag ? base : batch - lag;
}

}  // namespace

uint32_t Schedule::InitialLag() const {
  switch (mode) {
    case PipelineMode::kOverlapped:
      return branching ? 2 : 1;
    case PipelineMode::kSequential:
      return 1;
    case PipelineMode::kOnPolicy:
      return 0;
  }
  return 0;
}

uint32_t Schedule::ContinuationLag() const { return mode == PipelineMode::kOverlapped ? 1 : 0; }

uint32_t Schedule::InitialVersion(uint32_t base, uint32_t batch) const {
  return Behind(base, batch, InitialLag());
}

uint32_t Schedule::ContinuationVersion(uint32_t base, uint32_t batch) const {
  return Behind(base, batch, ContinuationLag());
}

uint32_t Schedule::ExpectedInitialLag(uint32_t base, uint32_t batch) const {
  return batch - InitialVersion(base, batch);
}

uint32_t Schedule::ExpectedContinuationLag(uint32_t base, uint32_t batch) const {
  return batch - ContinuationVersion(base, batch);
}

std::optional<uint32_t> Schedule::NewestKnownBatch(uint32_t base, uint32_t batch) const {
  const uint32_t version = InitialVersion(base, batch);
  if (version == 0) return std::nullopt;
  return version - 1;  // W(v) has batches 0..v-1 trained into it
}

bool Schedule::MayBegin(uint32_t base, uint32_t batch, std::optional<uint32_t> newest) const {
  return batch >= base && batch < steps && newest.has_value() &&
         InitialVersion(base, batch) <= *newest;
}

uint32_t Schedule::OldestVersionNeeded(uint32_t base, uint32_t batch, bool initial_done) const {
  if (initial_done && branching) return ContinuationVersion(base, batch);
  return initial_done ? batch : InitialVersion(base, batch);
}

}  // namespace attnrl::scheduler
