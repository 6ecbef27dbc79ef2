// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/admission.h"

namespace attnrl::rollout {
namespace {

// The lowest waiting version with weights; nullopt when there is none.
std::optional<uint32_t> LowestReady(const std::vector<WaitingSequence>& waiting) {
  std::optional<uint32_t> lowest;
  for (const WaitingSequence& sequence : waiting) {
    if (!sequence.weights_ready) continue;
    if (!lowest || sequence.version < *lowest) lowest = sequence.version;
  }
  return lowest;
}

}  // namespace

Admission ChooseAdmissions(const AdmissionView& view) {
  Admission admission{view.running_version, {}};
  const std::optional<uint32_t> next = LowestReady(view.waiting);
  if (!next) return admission;
  if (view.running_version && *view.running_version != *next) return admission;
  admission.version = next;
  int64_t tokens = 0;
  for (const WaitingSequence& sequence : view.waiting) {
    if (static_cast<int64_t>(admission.ids.size()) == view.free_slots) break;
    if (sequence.version != *next || !sequence.weights_ready) continue;
    tokens += sequence.prompt_tokens;
    if (!admission.ids.empty() && tokens > view.max_prefill_tokens) break;
    admission.ids.push_back(sequence.id);
  }
  return admission;
}

}  // namespace attnrl::rollout
