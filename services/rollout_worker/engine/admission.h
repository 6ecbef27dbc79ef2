// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace attnrl::rollout {

// A sequence that waits for a slot.
struct WaitingSequence {
  uint64_t id = 0;
  uint32_t version = 0;
  int64_t prompt_tokens = 0;
  bool weights_ready = false;
};

// What the choice of the next admissions depends on; nothing else may.
struct AdmissionView {
  // In order of arrival.
  std::vector<WaitingSequence> waiting = {};
  // Version of the sequences in slots; nullopt while all slots are free.
  std::optional<uint32_t> running_version = std::nullopt;
  int64_t free_slots = 0;
  // Prompt tokens computed in one step at most; a longer prompt goes alone.
  int64_t max_prefill_tokens = 2048;
};

struct Admission {
  // The version to run next; nullopt when nothing runs and nothing can.
  std::optional<uint32_t> version;
  // Sequences that get a slot now, in order of arrival.
  std::vector<uint64_t> ids;
};

// Picks which waiting sequences enter the next step. Pure. Sequences already in slots always go on.
// Slots hold one version at a time: the lowest waiting one whose weights are ready goes first
// (older work blocks the run's next training batch, newer work does not), and another version
// than the running one waits until the slots are empty.
Admission ChooseAdmissions(const AdmissionView& view);

}  // namespace attnrl::rollout
