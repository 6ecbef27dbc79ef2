// SPDX-License-Identifier: Apache-2.0
// Stepper: which sequences run, and where they lie.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "common/base/status.h"
#include "services/rollout_worker/engine/admission.h"
#include "services/rollout_worker/engine/stepper.h"

namespace attnrl::rollout {
namespace {

// Sequences that find no room may be passed by smaller ones: so many in a step, each so often.
constexpr size_t kMostPassed = 4;
constexpr int64_t kMostTimesPassed = 32;

absl::Status NoRoom() {
  return absl::ResourceExhaustedError("the KV cache has no room for this sequence");
}

}  // namespace

std::shared_ptr<VersionWeights> Stepper::WeightsOf(const Sequence& sequence) const {
  if (sequence.weights) return sequence.weights;
  const auto found = weights_.find(sequence.request.version);
  return found == weights_.end() ? nullptr : found->second;
}

void Stepper::Admit() {
  std::vector<std::unique_ptr<Sequence>> passed;  // of one version, that find no room
  const auto often_enough = [&passed] {
    return std::any_of(passed.begin(), passed.end(), [](const auto& sequence) {
      return sequence->times_passed >= kMostTimesPassed;
    });
  };
  while (running() < options_.slots && !waiting_.empty()) {
    // Versions, not requests: a handful.
    std::vector<uint32_t> versions;
    for (const auto& sequence : running_) {
      const uint32_t version = sequence->request.version;
      if (versions.empty() || versions.back() != version) versions.push_back(version);
    }
    std::vector<WaitingVersion> lines;
    waiting_.ForVersions([&](uint32_t version) {
      lines.push_back({version, WeightsOf(waiting_.Front(version)) != nullptr});
      return lines.back().weights_ready;
    });
    const std::optional<uint32_t> next = NextVersion(lines, versions, options_.resident_versions);
    if (!next || (!passed.empty() && passed.front()->request.version != *next)) break;
    std::unique_ptr<Sequence> sequence = waiting_.PopFront(*next);
    absl::Status placed = Place(*sequence, sequence->request.shared);
    if (absl::IsResourceExhausted(placed)) {
      Unplace(*sequence);
      if (running() > 0) {
        passed.push_back(std::move(sequence));
        if (passed.size() == kMostPassed || often_enough()) break;
        continue;
      }
      // What it shares may hold more than it needs of it, a whole response for its beginning.
      placed = Place(*sequence, {});
    }
    if (!placed.ok()) {
      Finish(std::move(sequence), placed);
      continue;
    }
    const auto place =
        std::upper_bound(running_.begin(), running_.end(), sequence,
                         [](const auto& a, const auto& b) { return StandsBefore(*a, *b); });
    running_.insert(place, std::move(sequence));
    for (const auto& waiting : passed) ++waiting->times_passed;
    if (often_enough()) break;
  }
  for (auto& sequence : passed) waiting_.Push(std::move(sequence));
}

// Finds the texts of `shared` and places for all of the sequence's tokens so far.
// RESOURCE_EXHAUSTED where there are no blocks for them now.
absl::Status Stepper::Place(Sequence& sequence, std::span<const SharedPrefix> shared) {
  sequence.weights = WeightsOf(sequence);
  const Request& request = sequence.request;
  ATTNRL_ASSIGN_OR_RETURN(sequence.prefix,
                          prefixes_.Find(sequence.weights->serial, shared, request.prompt_ids));
  const auto last = static_cast<int64_t>(request.prompt_ids.size()) - 1;
  int64_t begin = 0;
  sequence.path.clear();
  for (const Prefix* text = sequence.prefix.get(); text != nullptr; text = text->parent.get()) {
    sequence.path.insert(sequence.path.begin(), text->serial);
  }
  if (sequence.prefix) {
    begin = std::min(last, shared.back().tokens);
    for (const NeededText& text : TextsOf(sequence, begin)) {
      if (!prefixes_.Reserve(*text.prefix->kv, text.tokens)) return NoRoom();
    }
    sequence.kv = KvBranch::Fork(sequence.prefix->kv, begin);
  } else {
    sequence.kv = KvBranch::Root(pool_);
  }
  sequence.computed = begin;
  // Beyond its own, each running sequence's next block: else what enters would soon leave again.
  if (!prefixes_.Reserve(*sequence.kv, sequence.known())) return NoRoom();
  while (pool_.free() < running()) {
    if (!prefixes_.Evict()) return NoRoom();
  }
  if (request.score_delta && !sequence.scores) {
    sequence.scores = runner_.StartScores(last + 1, *request.score_delta);
  }
  sequence.admission = next_admission_++;
  sequence.times_passed = 0;
  if (!sequence.samples()) sequence.watch.emplace(clock_);
  return absl::OkStatus();
}

void Stepper::Unplace(Sequence& sequence) {
  sequence.kv.reset();
  sequence.prefix.reset();
  sequence.path.clear();
  sequence.computed = 0;
  sequence.planned = 0;
  if (!sequence.samples()) sequence.weights.reset();
}

// Every running sequence gets places for all of its tokens, or waits again.
void Stepper::MakeRoom() {
  for (size_t i = 0; i < running_.size();) {
    if (prefixes_.Reserve(*running_[i]->kv, running_[i]->known())) {
      ++i;
    } else {
      Preempt();
      i = 0;  // places in the list have changed; what has its places is passed at once
    }
  }
}

// The newest version's sequence that was admitted last.
void Stepper::Preempt() {
  const auto victim =
      std::max_element(running_.begin(), running_.end(), [](const auto& a, const auto& b) {
        return std::pair(a->request.version, a->admission) <
               std::pair(b->request.version, b->admission);
      });
  std::unique_ptr<Sequence> sequence = std::move(*victim);
  running_.erase(victim);
  Unplace(*sequence);
  waiting_.Push(std::move(sequence));
  ++report_.preempted;
}

}  // namespace attnrl::rollout
