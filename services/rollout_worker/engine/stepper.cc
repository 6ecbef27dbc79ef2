// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/stepper.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::rollout {
Stepper::Stepper(const StepperOptions& options, StepRunner& runner, const Clock& clock)
    : options_(options), runner_(runner), clock_(clock), pool_(runner.blocks()) {}

Stepper::~Stepper() = default;

absl::Status Stepper::Check(const Request& request) const {
  ATTNRL_RETURN_IF_ERROR(CheckRequest(request, options_.max_tokens, runner_.vocabulary()));
  const int64_t tokens = static_cast<int64_t>(request.prompt_ids.size()) + request.max_new_tokens;
  const int64_t blocks =
      KvBranch::MostBlocks(tokens, static_cast<int64_t>(request.shared.size()) + 1);
  if (blocks <= pool_.blocks()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a sequence of ", tokens, " tokens takes ", blocks,
                                                 " blocks of the KV cache, which has ",
                                                 pool_.blocks()));
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
  sequence->arrival = next_arrival_++;
  waiting_.Push(std::move(sequence));
  return absl::OkStatus();
}

bool Stepper::Abort(uint64_t id) {
  const auto cancelled = absl::CancelledError("aborted");
  if (std::unique_ptr<Sequence> sequence = waiting_.Remove(id)) {
    Finish(std::move(sequence), cancelled);
    return true;
  }
  const auto found = std::find_if(running_.begin(), running_.end(), [id](const auto& sequence) {
    return sequence->request.id == id;
  });
  if (found == running_.end()) return false;
  std::unique_ptr<Sequence> sequence = std::move(*found);
  running_.erase(found);
  Finish(std::move(sequence), cancelled);
  return true;
}

void Stepper::AbortAll() {
  while (!ids_.empty()) Abort(*ids_.begin());
}

void Stepper::SetWeights(uint32_t version, std::shared_ptr<const model::Transformer> weights) {
  DropWeights(version);
  weights_[version] = std::shared_ptr<VersionWeights>(
      new VersionWeights{version, ++next_weights_, std::move(weights)},
      [runner = &runner_](VersionWeights* gone) {
        runner->Forget(gone->weights.get());
        delete gone;
      });
}

void Stepper::DropWeights(uint32_t version) {
  const auto found = weights_.find(version);
  if (found == weights_.end()) return;
  prefixes_.Drop(found->second->serial);
  weights_.erase(found);
}

// ---- Planning ----

// How many tokens each sequence and text computes in this step: all that decode one; then, in order
// of admission, what is missing of texts and prompts, as far as rows are left.
void Stepper::ChooseRows() {
  int64_t budget = options_.max_step_rows;
  std::vector<Sequence*> behind;
  for (const auto& sequence : running_) {
    const std::vector<NeededText> texts = TextsOf(*sequence, sequence->kv->begin());
    const bool complete = std::all_of(texts.begin(), texts.end(), [](const NeededText& text) {
      return text.prefix->computed >= text.tokens;
    });
    if (complete && sequence->computed + 1 == sequence->known()) {
      sequence->planned = 1;
      sequence->result.prefill_tokens += sequence->samples() ? 0 : 1;
      --budget;
    } else {
      behind.push_back(sequence.get());
    }
  }
  std::sort(behind.begin(), behind.end(), [](const Sequence* a, const Sequence* b) {
    return std::pair(a->request.version, a->admission) <
           std::pair(b->request.version, b->admission);
  });
  budget = std::max<int64_t>(budget, 1);
  for (Sequence* sequence : behind) {
    if (budget == 0) break;
    bool complete = true;
    budget = ChooseText(*sequence, budget, &complete);
    if (!complete) continue;
    const int64_t rows = std::min(budget, sequence->known() - sequence->computed);
    sequence->planned = rows;
    sequence->result.prefill_tokens += rows;
    budget -= rows;
  }
}

// Plans what is missing of the sequence's texts, ancestors first. Returns what is left of `budget`.
int64_t Stepper::ChooseText(Sequence& sequence, int64_t budget, bool* complete) {
  for (const NeededText& text : TextsOf(sequence, sequence.kv->begin())) {
    const int64_t missing =
        std::max<int64_t>(0, text.tokens - text.prefix->computed - text.prefix->planned);
    const int64_t rows = std::min(budget, missing);
    text.prefix->planned += rows;
    sequence.result.prefill_tokens += rows;
    budget -= rows;
    if (rows < missing) {
      *complete = false;
      break;
    }
  }
  return budget;
}

void Stepper::AddText(const std::shared_ptr<Prefix>& prefix) {
  if (!prefix) return;
  AddText(prefix->parent);
  if (prefix->planned == 0) return;
  const auto first = prefix->ids.begin() + prefix->computed;
  plan_.ids.insert(plan_.ids.end(), first, first + prefix->planned);
  plan_.groups.push_back({prefix->computed, prefix->planned, prefix->kv->pieces()});
  report_.prefill_rows += prefix->planned;
  // Others that share it find it done: within a pass keys are stored before anybody reads them.
  prefix->computed += prefix->planned;
  prefix->planned = 0;
}

void Stepper::AddRows(Sequence& sequence) {
  AddText(sequence.prefix);
  if (sequence.planned == 0) return;
  const bool decodes = sequence.samples() && sequence.planned == 1;
  (decodes ? report_.decode_rows : report_.prefill_rows) += sequence.planned;
  plan_.groups.push_back({sequence.computed, sequence.planned, sequence.kv->pieces()});
  for (int64_t i = 0; i < sequence.planned; ++i) {
    plan_.ids.push_back(sequence.Token(sequence.computed + i));
  }
  const int64_t end = sequence.computed + sequence.planned;
  // After a preemption rows come again whose attention is in the scores already.
  if (sequence.scores && sequence.scores->next() == end - 1) {
    plan_.scored.push_back(sequence.scores->Row(static_cast<int32_t>(plan_.rows()) - 1));
    scored_.push_back(&sequence);
  }
  if (end < sequence.known() || sequence.closing) return;
  const Request& request = sequence.request;
  const auto drawn = static_cast<uint32_t>(sequence.result.token_ids.size());
  plan_.samples.push_back({static_cast<int32_t>(plan_.rows()) - 1, request.sampling, request.key,
                           request.first_index + drawn});
  sampled_.push_back(&sequence);
}

// ---- Running ----

bool Stepper::Step() {
  const absl::Duration start = clock_.Monotonic();
  report_ = StepReport{};
  MakeRoom();
  Admit();
  if (running_.empty()) return false;
  ChooseRows();
  report_.version = running_.front()->request.version;
  for (size_t begin = 0; begin < running_.size();) {
    size_t end = begin + 1;
    while (end < running_.size() && running_[end]->weights == running_[begin]->weights) ++end;
    RunWeights(begin, end);
    begin = end;
  }
  FinishEnded();
  RemoveEnded();
  report_.running = running();
  for (const auto& sequence : running_) report_.own_blocks += sequence->kv->own_blocks();
  report_.text_blocks = pool_.used() - report_.own_blocks;
  report_.free_blocks = pool_.free();
  report_.duration = clock_.Monotonic() - start;
  return true;
}

// One pass of the running sequences [begin, end), which have the same weights.
void Stepper::RunWeights(size_t begin, size_t end) {
  plan_.Clear();
  sampled_.clear();
  scored_.clear();
  for (size_t i = begin; i < end; ++i) AddRows(*running_[i]);
  if (plan_.empty()) return;
  for (const attention::RowGroup& group : plan_.groups) {
    report_.attended += group.rows * group.first_position + group.rows * (group.rows + 1) / 2;
  }
  const auto tokens = runner_.Run(plan_, *running_[begin]->weights->weights);
  if (!tokens.ok()) return Fail(begin, end, tokens.status());
  for (Sequence* sequence : scored_) {
    sequence->scores->Add(sequence->Token(sequence->scores->next()));
  }
  for (size_t i = begin; i < end; ++i) {
    Sequence& sequence = *running_[i];
    sequence.computed += std::exchange(sequence.planned, 0);
    if (sequence.closing && sequence.computed == sequence.known()) ended_.push_back(&sequence);
  }
  running_[begin]->weights->sound |= std::any_of(
      tokens->begin(), tokens->end(), [](const SampledToken& token) { return token.id >= 0; });
  for (size_t i = 0; i < sampled_.size(); ++i) Accept(*sampled_[i], (*tokens)[i]);
}

// What the pass should have stored is undefined, so whoever would read it ends.
void Stepper::Fail(size_t begin, size_t end, const absl::Status& status) {
  prefixes_.Drop(running_[begin]->weights->serial);
  for (size_t i = begin; i < end; ++i) failed_[running_[i].get()] = status;
}

void Stepper::Accept(Sequence& sequence, const SampledToken& token) {
  const Request& request = sequence.request;
  Completion& result = sequence.result;
  if (token.id < 0) {
    failed_[&sequence] =
        sequence.weights->sound
            ? absl::DataLossError("the model's logits are not finite for this sequence")
            : absl::InternalError("the model's logits are not finite for any sequence so far");
    return;
  }
  if (!sequence.samples()) {
    result.reused_tokens = sequence.reused();
    report_.reused_tokens += result.reused_tokens;
  }
  ++report_.sampled_tokens;
  result.token_ids.push_back(token.id);
  result.logprobs.push_back(token.logprob);
  result.entropy.push_back(token.entropy);
  const bool stops = std::find(request.stop_ids.begin(), request.stop_ids.end(), token.id) !=
                         request.stop_ids.end() ||
                     (request.stop_when && request.stop_when(result.token_ids));
  const bool full = static_cast<int64_t>(result.token_ids.size()) == request.max_new_tokens;
  if (!stops && !full) return;
  result.finish = stops ? FinishReason::kStop : FinishReason::kLength;
  sequence.closing = sequence.scores != nullptr;
  if (!sequence.closing) ended_.push_back(&sequence);
}

std::map<uint64_t, uint64_t> Stepper::Progress() const {
  std::map<uint64_t, uint64_t> tokens;
  for (const auto& sequence : running_) {
    tokens[sequence->request.id] = sequence->result.token_ids.size();
  }
  return tokens;
}

int64_t Stepper::ReachableBlocks() const {
  std::set<int32_t> blocks;
  for (const auto& sequence : running_) sequence->kv->AddBlocks(&blocks);
  prefixes_.AddBlocks(&blocks);
  return static_cast<int64_t>(blocks.size());
}

void Stepper::FinishEnded() {
  for (size_t begin = 0; begin < ended_.size();) {
    size_t end = begin + 1;
    while (end < ended_.size() && ended_[end]->weights == ended_[begin]->weights) ++end;
    FinishEnded(std::span(ended_).subspan(begin, end - begin));
    begin = end;
  }
  for (Sequence* sequence : ended_) {
    const Request& request = sequence->request;
    const bool kept =
        weights_.contains(request.version) && weights_[request.version] == sequence->weights;
    if (!request.becomes || !kept || failed_.contains(sequence)) continue;
    std::vector<int32_t> ids = request.prompt_ids;
    ids.insert(ids.end(), sequence->result.token_ids.begin(), sequence->result.token_ids.end());
    prefixes_.Add(sequence->weights->serial, *request.becomes, sequence->prefix, std::move(ids),
                  sequence->kv, sequence->computed);
  }
}

// One call scores all sequences of the same weights that want it, so that short ones share a pass.
void Stepper::FinishEnded(std::span<Sequence* const> ended) {
  std::vector<ScoreRequest> requests;
  std::vector<Sequence*> scored;
  for (Sequence* sequence : ended) {
    if (!sequence->request.score_delta) continue;
    if (sequence->scores) {
      if (auto online = sequence->scores->Finish(sequence->result.token_ids)) {
        sequence->result.scores = *std::move(online);
        continue;
      }
    }
    requests.push_back(
        {sequence->request.prompt_ids, sequence->result.token_ids, *sequence->request.score_delta});
    scored.push_back(sequence);
  }
  if (requests.empty()) return;
  auto scores = runner_.Score(requests, *ended.front()->weights->weights);
  for (size_t i = 0; i < scored.size(); ++i) {
    if (scores.ok()) {
      scored[i]->result.scores = std::move((*scores)[i]);
    } else {
      failed_[scored[i]] = scores.status();
    }
  }
}

void Stepper::RemoveEnded() {
  for (Sequence* sequence : ended_) failed_.try_emplace(sequence);
  ended_.clear();
  if (failed_.empty()) return;
  const std::map<Sequence*, absl::Status> leaving = std::exchange(failed_, {});
  Running gone;
  std::erase_if(running_, [&](std::unique_ptr<Sequence>& sequence) {
    if (!leaving.contains(sequence.get())) return false;
    gone.push_back(std::move(sequence));
    return true;
  });
  for (std::unique_ptr<Sequence>& sequence : gone) {
    const absl::Status& status = leaving.at(sequence.get());
    Finish(std::move(sequence), status);
  }
}

void Stepper::Finish(std::unique_ptr<Sequence> sequence, absl::Status status) {
  // Before the callback, which may submit a request with this id again.
  ids_.erase(sequence->request.id);
  Unplace(*sequence);
  sequence->result.status = std::move(status);
  if (sequence->watch) {
    sequence->result.start = sequence->watch->start();
    sequence->result.end = sequence->watch->End();
  }
  sequence->done(std::move(sequence->result));
}

}  // namespace attnrl::rollout
