// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/stepper.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::rollout {

Stepper::Stepper(const StepperOptions& options, StepRunner& runner, const Clock& clock)
    : options_(options),
      runner_(runner),
      clock_(clock),
      pool_(options.slots),
      slots_(static_cast<size_t>(options.slots)) {}

absl::Status Stepper::Check(const Request& request) const {
  const SamplingParams& sampling = request.sampling;
  if (request.prompt_ids.empty()) return absl::InvalidArgumentError("the prompt has no token");
  if (request.max_new_tokens < 1) return absl::InvalidArgumentError("max_new_tokens is below 1");
  const int64_t tokens = static_cast<int64_t>(request.prompt_ids.size()) + request.max_new_tokens;
  if (tokens > options_.max_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("a sequence of ", tokens, " tokens; at most ",
                                                   options_.max_tokens, " fit a slot"));
  }
  for (const int32_t id : request.prompt_ids) {
    if (id >= 0 && id < runner_.vocabulary()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("token id ", id, "; the model has ids from 0 to ", runner_.vocabulary() - 1));
  }
  if (!(sampling.temperature >= 0) || !std::isfinite(sampling.temperature) ||
      !(sampling.top_p > 0) || sampling.top_p > 1 || sampling.top_k < 0) {
    return absl::InvalidArgumentError(
        "temperature must be at least 0, top-p in (0, 1], top-k at least 0");
  }
  return absl::OkStatus();
}

absl::Status Stepper::Submit(Request request, CompletionCallback done) {
  ATTNRL_RETURN_IF_ERROR(Check(request));
  if (waiting() >= options_.max_waiting) {
    return absl::ResourceExhaustedError(
        absl::StrCat(options_.max_waiting, " requests are waiting already"));
  }
  if (!ids_.insert(request.id).second) {
    return absl::AlreadyExistsError(absl::StrCat("request ", request.id, " is not finished yet"));
  }
  auto sequence = std::make_unique<Sequence>();
  sequence->result.id = request.id;
  sequence->request = std::move(request);
  sequence->done = std::move(done);
  waiting_.push_back(std::move(sequence));
  return absl::OkStatus();
}

bool Stepper::Abort(uint64_t id) {
  const auto cancelled = absl::CancelledError("aborted");
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot] || slots_[slot]->request.id != id) continue;
    FinishSlot(static_cast<int64_t>(slot), cancelled);
    return true;
  }
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [id](const auto& sequence) {
    return sequence->request.id == id;
  });
  if (found == waiting_.end()) return false;
  std::unique_ptr<Sequence> sequence = std::move(*found);
  waiting_.erase(found);
  Finish(std::move(sequence), cancelled);
  return true;
}

void Stepper::AbortAll() {
  while (!ids_.empty()) Abort(*ids_.begin());
}

void Stepper::SetWeights(uint32_t version, std::shared_ptr<const model::Transformer> weights) {
  weights_[version] = std::move(weights);
}

void Stepper::DropWeights(uint32_t version) { weights_.erase(version); }

bool Stepper::WeightsReady(uint32_t version) const {
  const auto found = weights_.find(version);
  if (found == weights_.end()) return false;
  // Weights replaced under a running version are for the time when its slots are empty.
  const bool runs = pool_.used() > 0 && version_ == version;
  return !runs || found->second == in_use_;
}

void Stepper::Admit() {
  if (waiting_.empty() || pool_.free() == 0) return;
  AdmissionView view;
  view.waiting.reserve(waiting_.size());
  for (const auto& sequence : waiting_) {
    const Request& request = sequence->request;
    view.waiting.push_back({request.id, request.version,
                            static_cast<int64_t>(request.prompt_ids.size()),
                            WeightsReady(request.version)});
  }
  if (pool_.used() > 0) view.running_version = version_;
  view.free_slots = pool_.free();
  view.max_prefill_tokens = options_.max_prefill_tokens;
  const Admission admission = ChooseAdmissions(view);
  if (admission.ids.empty()) return;
  // Weights change only while no slot is taken: keys and values belong to the weights that computed
  // them.
  if (pool_.used() == 0) {
    version_ = admission.version;
    const auto& weights = weights_[*admission.version];
    if (weights != in_use_) runner_.UseModel(weights);
    in_use_ = weights;
  }
  size_t next = 0;  // both lists are in order of arrival
  std::deque<std::unique_ptr<Sequence>> left;
  for (auto& sequence : waiting_) {
    if (next == admission.ids.size() || sequence->request.id != admission.ids[next]) {
      left.push_back(std::move(sequence));
      continue;
    }
    ++next;
    sequence->result.start = clock_.Now();
    slots_[static_cast<size_t>(*pool_.Allocate())] = std::move(sequence);
  }
  waiting_ = std::move(left);
}

StepPlan Stepper::Plan() const {
  StepPlan plan;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot] || !slots_[slot]->decodes()) continue;
    plan.sequences.push_back({static_cast<int64_t>(slot), slots_[slot]->cached, 1});
    plan.ids.push_back(slots_[slot]->result.token_ids.back());
  }
  PlanPrompts(&plan);
  return plan;
}

void Stepper::PlanPrompts(StepPlan* plan) const {
  std::vector<const Sequence*> computed;  // in this step, as whole prompts
  for (size_t index = 0; index < slots_.size(); ++index) {
    if (!slots_[index] || slots_[index]->decodes()) continue;
    const auto slot = static_cast<int64_t>(index);
    const std::vector<int32_t>& prompt = slots_[index]->request.prompt_ids;
    // A prompt that shares more with one computed in this very step waits for the next step and
    // copies from it: a step's delay against computing the shared part twice.
    const Prefix held = SharedPrefix(slot);
    const auto computes_more = [&](const Sequence* other) {
      return SharedTokens(*other, prompt) > std::max(held.tokens, options_.min_shared_prefix - 1);
    };
    if (std::any_of(computed.begin(), computed.end(), computes_more)) continue;
    computed.push_back(slots_[index].get());
    if (held.tokens > 0) plan->copies.push_back({held.slot, slot, held.tokens});
    plan->sequences.push_back(
        {slot, held.tokens, static_cast<int64_t>(prompt.size()) - held.tokens});
    plan->ids.insert(plan->ids.end(), prompt.begin() + held.tokens, prompt.end());
  }
}

// Its last prompt token is computed by each sequence itself: the logits come from it.
int64_t Stepper::SharedTokens(const Sequence& sequence, const std::vector<int32_t>& prompt) {
  const std::vector<int32_t>& other = sequence.request.prompt_ids;
  const std::vector<int32_t>& sampled = sequence.result.token_ids;
  const size_t limit = prompt.size() - 1;
  size_t shared = 0;
  while (shared < limit) {
    const size_t beyond = shared - std::min(shared, other.size());
    if (shared >= other.size() && beyond >= sampled.size()) break;
    if (prompt[shared] != (shared < other.size() ? other[shared] : sampled[beyond])) break;
    ++shared;
  }
  return static_cast<int64_t>(shared);
}

Stepper::Prefix Stepper::SharedPrefix(int64_t slot) const {
  const std::vector<int32_t>& prompt = slots_[static_cast<size_t>(slot)]->request.prompt_ids;
  Prefix best;
  for (size_t other = 0; other < slots_.size(); ++other) {
    if (!slots_[other] || !slots_[other]->decodes()) continue;
    const int64_t tokens = std::min(SharedTokens(*slots_[other], prompt), slots_[other]->cached);
    if (tokens < options_.min_shared_prefix || tokens <= best.tokens) continue;
    best = {static_cast<int64_t>(other), tokens};
  }
  return best;
}

bool Stepper::Step() {
  Admit();
  const StepPlan plan = Plan();
  if (plan.empty()) return false;
  const absl::Duration start = clock_.Monotonic();
  report_ = StepReport{};
  report_.version = version_.value_or(0);
  const absl::StatusOr<LogitRows> logits = runner_.Run(plan);
  for (size_t i = 0; i < plan.sequences.size(); ++i) {
    const PlannedSequence& planned = plan.sequences[i];
    // Asked before Accept: with its first token a prompt becomes a sequence that decodes.
    const bool decodes = slots_[static_cast<size_t>(planned.slot)]->decodes();
    (decodes ? report_.decode_rows : report_.prefill_rows) += planned.rows;
    if (!decodes) report_.reused_tokens += planned.past;
    if (logits.ok()) {
      Accept(planned, logits->Row(i));
    } else {
      FinishSlot(planned.slot, logits.status());
    }
  }
  FinishEnded();
  report_.used_slots = pool_.used();
  report_.duration = clock_.Monotonic() - start;
  return true;
}

void Stepper::Accept(const PlannedSequence& planned, std::span<const float> logits) {
  Sequence& sequence = *slots_[static_cast<size_t>(planned.slot)];
  const Request& request = sequence.request;
  Completion& result = sequence.result;
  if (!sequence.decodes()) {
    result.prefill_tokens = planned.rows;
    result.reused_tokens = planned.past;
  }
  // Without the token sampled below: the next step computes its keys and values.
  sequence.cached = planned.past + planned.rows;
  const uint32_t index = request.first_index + static_cast<uint32_t>(result.token_ids.size());
  const absl::StatusOr<SampledToken> token =
      sampler_.Sample(logits, request.sampling, request.key, index);
  if (!token.ok()) return FinishSlot(planned.slot, token.status());
  ++report_.sampled_tokens;
  result.token_ids.push_back(token->id);
  result.logprobs.push_back(token->logprob);
  result.entropy.push_back(token->entropy);
  const bool stops = std::find(request.stop_ids.begin(), request.stop_ids.end(), token->id) !=
                         request.stop_ids.end() ||
                     (request.stop_when && request.stop_when(result.token_ids));
  const bool full = static_cast<int64_t>(result.token_ids.size()) == request.max_new_tokens;
  if (!stops && !full) return;
  result.finish = stops ? FinishReason::kStop : FinishReason::kLength;
  ended_.push_back(planned.slot);
}

void Stepper::FinishEnded() {
  // Slots are freed after scoring, since the requests point into their sequences. One call scores
  // all of them, so that short ones share a pass.
  std::vector<ScoreRequest> requests;
  std::vector<Sequence*> scored;
  for (const int64_t slot : ended_) {
    Sequence& sequence = *slots_[static_cast<size_t>(slot)];
    sequence.result.end = clock_.Now();
    if (!sequence.request.score_delta) continue;
    requests.push_back(
        {sequence.request.prompt_ids, sequence.result.token_ids, *sequence.request.score_delta});
    scored.push_back(&sequence);
  }
  absl::Status status;
  if (!requests.empty()) {
    absl::StatusOr<std::vector<StepScores>> scores = runner_.Score(requests);
    status = scores.status();
    for (size_t i = 0; i < scored.size() && status.ok(); ++i) {
      scored[i]->result.scores = std::move((*scores)[i]);
    }
  }
  for (const int64_t slot : std::exchange(ended_, {})) {
    const bool wanted = slots_[static_cast<size_t>(slot)]->request.score_delta.has_value();
    FinishSlot(slot, wanted ? status : absl::OkStatus());
  }
}

void Stepper::FinishSlot(int64_t slot, absl::Status status) {
  std::unique_ptr<Sequence> sequence = std::move(slots_[static_cast<size_t>(slot)]);
  pool_.Free(slot);
  Finish(std::move(sequence), std::move(status));
}

void Stepper::Finish(std::unique_ptr<Sequence> sequence, absl::Status status) {
  // Before the callback, which may submit a request with this id again.
  ids_.erase(sequence->request.id);
  sequence->result.status = std::move(status);
  if (!sequence->result.status.ok()) sequence->result.end = clock_.Now();
  sequence->done(std::move(sequence->result));
}

}  // namespace attnrl::rollout
