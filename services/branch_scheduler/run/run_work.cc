// SPDX-License-Identifier: Apache-2.0
// Run: what workers sample and the verifier grades.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/branch_scheduler/decide/expansion.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/records/records.h"
#include "services/branch_scheduler/run/run.h"
#include "services/branch_scheduler/store/payload.h"

namespace attnrl::scheduler {
namespace {

// Every sample has a verdict.
bool Gradable(const SampledItem& item) {
  return std::all_of(item.grades.begin(), item.grades.end(),
                     [](const Grade& grade) { return verifier::IsVerdict(grade.status); });
}

// Of a Response, const or not.
template <typename Of>
auto& SlotOf(Of& response, ItemKind kind) {
  return kind == ItemKind::kInitial ? response.initial : response.continuation;
}

}  // namespace

BatchState* Run::FindBatch(uint32_t batch) {
  auto found = batches_.find(batch);
  return found == batches_.end() ? nullptr : &found->second;
}

const Problem* Run::FindProblem(const ItemKey& key) const {
  auto batch = batches_.find(key.batch);
  if (batch == batches_.end() || key.position >= batch->second.problems.size()) return nullptr;
  const Problem& problem = batch->second.problems[key.position];
  return key.response < problem.responses.size() ? &problem : nullptr;
}

std::string Run::ProblemId(ItemId item) const {
  const Problem* problem = FindProblem(KeyOfItem(item));
  return problem == nullptr ? "" : data_.problems[problem->row].id;
}

void Run::OpenInitials(BatchState& batch) {
  const uint32_t version = schedule_.InitialVersion(batch.place());
  for (const Problem& problem : batch.problems) {
    for (uint32_t r = 0; r < problem.responses.size(); ++r) {
      if (problem.responses[r].initial.has_value()) continue;
      runnable_.push_back({version, IdOf({batch.number, problem.position, r, ItemKind::kInitial}),
                           SizeOf(batch, problem, r, ItemKind::kInitial)});
    }
  }
}

ItemSize Run::SizeOf(const BatchState& batch, const Problem& problem, uint32_t response,
                     ItemKind kind) const {
  if (kind == ItemKind::kInitial) {
    const uint32_t usual = usual_tokens_[problem.row];
    return {.samples = 1, .tokens = usual > 0 ? usual : batch.max_response_tokens};
  }
  const Response& parent = problem.responses[response];
  const uint64_t length = parent.initial->result.samples[0].token_ids.size();
  ItemSize size{.samples = 0};
  for (const uint32_t point : parent.expansion.points) {
    size.samples += options_.branching.children;
    size.tokens += options_.branching.children * (length - point);
  }
  return size;
}

WorkItem Run::MakeItem(ItemId id) const {
  const ItemKey key = KeyOfItem(id);
  const BatchState& batch = batches_.at(key.batch);
  const Problem& problem = batch.problems[key.position];
  WorkItem item;
  item.item = id;
  item.kind = key.kind;
  item.batch = key.batch;
  item.position = key.position;
  item.prompt_ids = data_.problems[problem.row].prompt_ids;
  item.sampling.temperature = options_.temperature;
  item.sampling.top_p = options_.top_p;
  item.sampling.top_k = options_.top_k;
  item.sampling.seed = options_.seed;
  item.sampling.stop_ids = options_.stop_ids;
  if (key.kind == ItemKind::kInitial) {
    item.version.number = schedule_.InitialVersion(batch.place());
    item.samples.push_back(SampleRequest{key.response, 0, batch.max_response_tokens});
  } else {
    item.version.number = schedule_.ContinuationVersion(batch.place());
    const Response& response = problem.responses[key.response];
    item.parent = key.response;
    item.response_ids = response.initial->result.samples[0].token_ids;
    // Sample p * T + c is child c at point p: grading, records and the learner's batch count on it.
    const uint32_t points = static_cast<uint32_t>(response.expansion.points.size());
    for (uint32_t p = 0; p < points; ++p) {
      const uint32_t split = response.expansion.points[p];
      for (uint32_t c = 0; c < options_.branching.children; ++c) {
        item.samples.push_back(
            SampleRequest{ContinuationNode(static_cast<uint32_t>(problem.responses.size()),
                                           options_.branching.points, options_.branching.children,
                                           key.response, p, c),
                          split, batch.max_response_tokens - split});
      }
    }
  }
  if (key.kind == ItemKind::kInitial && options_.scores_attention()) {
    item.score_delta = options_.branching.delta;
  }
  item.version.digest = versions_.at(item.version.number);
  return item;
}

absl::StatusOr<AdmittedResult> Run::Admit(ItemResult result) const {
  if (FindProblem(KeyOfItem(result.item)) == nullptr) {
    return InputError(absl::StrCat("item ", Number(result.item)), "not one of this run's batches",
                      "an item that was leased");
  }
  const WorkItem item = MakeItem(result.item);
  return AdmitResult(std::move(result), item, options_.vocabulary, text_);
}

absl::Status Run::AddResult(const std::string& worker, const AdmittedResult& admitted) {
  const ItemResult& result = *admitted;
  const ItemKey key = KeyOfItem(result.item);
  BatchState& batch = *FindBatch(key.batch);
  Problem& problem = batch.problems[key.position];
  std::optional<SampledItem>& slot = SlotOf(problem.responses[key.response], key.kind);
  // The caller answers a second copy of a durable result itself (LeaseOfResult).
  if (slot.has_value()) return absl::InternalError("an item got a second result");
  // Result and event in one transaction: events.jsonl has a line for exactly the work that counts.
  ATTNRL_RETURN_IF_ERROR(
      store_.PutResult(Store::ResultRow{result.item, result.lease, worker, EncodePayload(result)}));
  ATTNRL_RETURN_IF_ERROR(store_.AddLine(
      kEventsFile,
      EventLine({key.kind == ItemKind::kInitial ? "initial" : "continuation", key.batch,
                 result.item, result.version.number, worker, result.span})));
  SampledItem item;
  item.worker = worker;
  item.result = result;
  slot = std::move(item);
  if (key.kind == ItemKind::kInitial) {
    ++batch.initial_done;
    const auto tokens = static_cast<uint32_t>(result.samples[0].token_ids.size());
    uint32_t& usual = usual_tokens_[problem.row];
    usual = usual == 0 ? tokens : (usual + tokens) / 2;
  }
  rollout_spans_.push_back(result.span);
  counters_.prefill_tokens += result.prefill_tokens;
  counters_.reused_tokens += result.reused_tokens;
  for (const SampleResult& sample : result.samples) {
    counters_.generated_tokens += sample.token_ids.size();
  }
  grade_tasks_.push_back(MakeGradeTask(key, problem));
  return absl::OkStatus();
}

absl::Status Run::Park(ItemId id, const std::string& reason) {
  const ItemKey key = KeyOfItem(id);
  BatchState* batch = FindBatch(key.batch);
  if (batch == nullptr || FindProblem(key) == nullptr) return absl::OkStatus();
  Problem& problem = batch->problems[key.position];
  std::optional<SampledItem>& slot = SlotOf(problem.responses[key.response], key.kind);
  if (slot.has_value()) return absl::OkStatus();
  // A result of nobody without tokens, and grades without a verdict: the problem is dropped as one
  // that can't be graded is, and a restart finds it so.
  const WorkItem item = MakeItem(id);
  SampledItem parked;
  parked.result.item = id;
  parked.result.version = item.version;
  for (const SampleRequest& request : item.samples) {
    parked.result.samples.push_back(SampleResult{.node = request.node});
  }
  parked.grades.resize(item.samples.size());
  ATTNRL_RETURN_IF_ERROR(
      store_.PutResult(Store::ResultRow{id, LeaseId{}, "", EncodePayload(parked.result)}));
  ATTNRL_RETURN_IF_ERROR(store_.PutGrades(id, EncodeGrades(parked.grades), Span{}));
  slot = std::move(parked);
  problem.parked = true;
  if (key.kind == ItemKind::kInitial) ++batch->initial_done;
  ++counters_.parked_items;
  const bool all = std::all_of(batch->problems.begin(), batch->problems.end(),
                               [](const Problem& each) { return each.parked; });
  if (all) {
    return InputError(
        absl::StrCat("batch ", key.batch),
        absl::StrCat("workers failed at every problem, last at item ", Number(id), ": ", reason),
        "mend the workers or the model, then --resume");
  }
  const bool complete = batch->graded();
  Advance(*batch, problem);
  if (batch->graded() != complete && options_.adaptive.filter_solved) AdvanceAll();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<LeaseId>> Run::LeaseOfResult(ItemId item) const {
  return store_.LeaseOfResult(item);
}

GradeTask Run::MakeGradeTask(const ItemKey& key, const Problem& problem) const {
  const Response& response = problem.responses[key.response];
  GradeTask task;
  task.item = IdOf(key);
  task.answers = &data_.problems[problem.row].answers;
  task.grader = &data_.problems[problem.row].grader;
  const std::vector<int32_t>& initial = response.initial->result.samples[0].token_ids;
  if (key.kind == ItemKind::kInitial) {
    task.responses.push_back(initial);
    return task;
  }
  const SampledItem& continuation = *response.continuation;
  for (size_t i = 0; i < continuation.result.samples.size(); ++i) {
    const uint32_t split = response.expansion.points[i / options_.branching.children];
    // The verifier sees whole responses: the answer may stand in the part that was kept.
    std::vector<int32_t> whole(initial.begin(), initial.begin() + split);
    const std::vector<int32_t>& added = continuation.result.samples[i].token_ids;
    whole.insert(whole.end(), added.begin(), added.end());
    task.responses.push_back(std::move(whole));
  }
  return task;
}

absl::Status Run::AddGrades(const GradedItem& graded) {
  const ItemKey key = KeyOfItem(graded.item);
  BatchState* batch = FindBatch(key.batch);
  if (batch == nullptr || FindProblem(key) == nullptr) {
    return absl::InternalError(
        absl::StrCat("grades for item ", Number(graded.item), ", which is not open"));
  }
  Problem& problem = batch->problems[key.position];
  std::optional<SampledItem>& slot = SlotOf(problem.responses[key.response], key.kind);
  // The first grades stand: branch points may have been chosen by them.
  if (!slot.has_value() || slot->graded()) return absl::OkStatus();
  if (slot->result.samples.size() != graded.grades.size()) {
    return absl::InternalError(absl::StrCat(graded.grades.size(), " grades for ",
                                            slot->result.samples.size(), " samples"));
  }
  ATTNRL_RETURN_IF_ERROR(store_.PutGrades(graded.item, EncodeGrades(graded.grades), graded.span));
  ATTNRL_RETURN_IF_ERROR(store_.AddLine(
      kEventsFile, EventLine({"grade", key.batch, graded.item, slot->result.version.number,
                              std::nullopt, graded.span})));
  slot->grades = graded.grades;
  slot->grading = graded.span;
  const bool complete = batch->graded();
  Advance(*batch, problem);
  // Solved problems of this batch and of later ones may have waited for its last grade.
  if (batch->graded() != complete && options_.adaptive.filter_solved) AdvanceAll();
  return absl::OkStatus();
}

void Run::NoteGraded(BatchState& batch, Problem& problem) {
  if (problem.graded) return;
  for (const Response& response : problem.responses) {
    if (!response.initial.has_value() || !response.initial->graded()) return;
  }
  for (const Response& response : problem.responses) {
    problem.ungradable |= !Gradable(*response.initial);
  }
  // A problem that could not be graded does not move the mean of the attention filter.
  if (options_.scores_attention() && !problem.ungradable && Solved(problem)) {
    problem.solved_score = SolvedScore(problem);
  }
  problem.graded = true;
  ++batch.problems_graded;
}

void Run::Advance(BatchState& batch, Problem& problem) {
  if (problem.done) return;
  NoteGraded(batch, problem);
  if (!problem.graded) return;
  if (!problem.decided && !Decide(batch, problem)) return;
  bool waiting = false;
  const uint32_t version = schedule_.ContinuationVersion(batch.place());
  for (uint32_t r = 0; r < problem.responses.size(); ++r) {
    const Response& response = problem.responses[r];
    if (response.expansion.points.empty()) continue;
    if (!response.continuation.has_value()) {
      waiting = true;
      // Its weights are still being trained: announcing them advances every problem again.
      if (!versions_.contains(version)) continue;
      runnable_.push_back({version,
                           IdOf({batch.number, problem.position, r, ItemKind::kContinuation}),
                           SizeOf(batch, problem, r, ItemKind::kContinuation)});
    } else if (!response.continuation->graded()) {
      waiting = true;
    } else {
      problem.ungradable |= !Gradable(*response.continuation);
    }
  }
  if (waiting) return;
  problem.done = true;
  ++batch.problems_done;
  if (problem.ungradable) ++counters_.ungradable_problems;
}

void Run::AdvanceAll() {
  for (auto& [number, batch] : batches_) {
    // Whether a solved problem branches depends on the initial grades of its whole batch.
    for (Problem& problem : batch.problems) NoteGraded(batch, problem);
    for (Problem& problem : batch.problems) Advance(batch, problem);
  }
}

std::set<std::string> Run::Workers() const {
  std::set<std::string> names;
  for (const auto& [number, batch] : batches_) {
    for (const Problem& problem : batch.problems) {
      for (const Response& response : problem.responses) {
        if (response.initial.has_value()) names.insert(response.initial->worker);
        if (response.continuation.has_value()) names.insert(response.continuation->worker);
      }
    }
  }
  names.erase("");  // of what is parked
  return names;
}

std::vector<Run::Runnable> Run::TakeRunnable() {
  // What has become runnable may have been parked since.
  std::erase_if(runnable_, [this](const Runnable& runnable) {
    const ItemKey key = KeyOfItem(runnable.item);
    const Problem* problem = FindProblem(key);
    if (problem == nullptr) return true;
    return SlotOf(problem->responses[key.response], key.kind).has_value();
  });
  return std::exchange(runnable_, {});
}
std::vector<GradeTask> Run::TakeGradeTasks() { return std::exchange(grade_tasks_, {}); }

}  // namespace attnrl::scheduler
