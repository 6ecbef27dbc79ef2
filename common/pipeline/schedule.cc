// SPDX-License-Identifier: Apache-2.0
#include "common/pipeline/schedule.h"

namespace attnrl::pipeline {
namespace {

// Batches between the weights that sample and those that the batch trains, away from the base.
uint32_t InitialLag(const Schedule& schedule) {
  switch (schedule.mode) {
    case PipelineMode::kOverlapped:
      return schedule.branching ? 2 : 1;
    case PipelineMode::kSequential:
      return 1;
    case PipelineMode::kOnPolicy:
      return 0;
  }
  return 0;
}

uint32_t ContinuationLag(const Schedule& schedule) {
  return schedule.mode == PipelineMode::kOverlapped ? 1 : 0;
}

uint32_t Behind(Place place, uint32_t lag) {
  return place.batch < place.base + lag ? place.base : place.batch - lag;
}

}  // namespace

uint32_t Schedule::InitialVersion(Place place) const { return Behind(place, InitialLag(*this)); }

uint32_t Schedule::ContinuationVersion(Place place) const {
  return Behind(place, ContinuationLag(*this));
}

Lags Schedule::LagsOf(Place place) const {
  Lags lags{.initial = place.batch - InitialVersion(place), .continuation = std::nullopt};
  if (branching) lags.continuation = place.batch - ContinuationVersion(place);
  return lags;
}

std::optional<uint32_t> Schedule::NewestKnownBatch(Place place) const {
  const uint32_t version = InitialVersion(place);
  if (version == 0) return std::nullopt;
  return version - 1;  // W(v) has batches 0..v-1 trained into it
}

bool Schedule::MayBegin(Place place, std::optional<uint32_t> newest) const {
  return newest.has_value() && InitialVersion(place) <= *newest;
}

uint32_t Schedule::OldestVersionNeeded(Place place, bool initial_done) const {
  if (!initial_done) return InitialVersion(place);
  return branching ? ContinuationVersion(place) : place.batch;
}

}  // namespace attnrl::pipeline
