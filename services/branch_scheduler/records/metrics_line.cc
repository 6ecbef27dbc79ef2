// SPDX-License-Identifier: Apache-2.0
// FactsOf and MetricsLine of records.h.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/json/json.h"
#include "common/tree/adaptive_sampling.h"
#include "services/branch_scheduler/records/records.h"

namespace attnrl::scheduler {
namespace {

using Json = nlohmann::ordered_json;

Json Finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json Ratio(double part, double whole) { return whole > 0 ? Json(part / whole) : Json(nullptr); }

void CountLeaf(const SampleResult& sample, const Grade& grade, size_t kept_tokens,
               BatchFacts* totals) {
  ++totals->leaves;
  totals->generated += sample.token_ids.size();
  totals->response_tokens += kept_tokens + sample.token_ids.size();
  if (sample.finish == FinishReason::kLength) ++totals->truncated;
  ++totals->verdicts[VerdictOf(grade.status, grade.correct)];
  if (verifier::IsVerdict(grade.status)) {
    ++totals->rewarded;
    totals->reward += grade.reward();
  }
}

void CountItem(const SampledItem& item, BatchFacts* totals) {
  totals->reused += item.result.reused_tokens;
  totals->rollouts.push_back(item.result.span);
  totals->gradings.push_back(item.grading);
}

void CountContinuations(const SchedulerOptions& options, const Response& response,
                        BatchFacts* totals) {
  const SampledItem& item = *response.continuation;
  CountItem(item, totals);
  totals->continuations = true;
  const uint32_t per_point = options.branching.children;
  for (const SampleResult& sample : item.result.samples) {
    ++totals->continued;
    totals->continuation_tokens += sample.token_ids.size();
  }
  for (size_t p = 0; p < response.expansion.points.size(); ++p) {
    bool disagree = false, gradable = true;
    for (size_t i = p * per_point; i < (p + 1) * per_point; ++i) {
      CountLeaf(item.result.samples[i], item.grades[i], response.expansion.points[p], totals);
      disagree |= item.grades[i].correct != item.grades[p * per_point].correct;
      gradable &= verifier::IsVerdict(item.grades[i].status);
    }
    if (!gradable) continue;
    ++totals->points;
    totals->disagreeing += disagree ? 1 : 0;
  }
}

// Pairs of responses of a problem that has continuations.
void CountPairs(const Problem& problem, BatchFacts* totals) {
  const auto branches = [](const Response& response) { return response.continuation.has_value(); };
  if (problem.ungradable ||
      std::none_of(problem.responses.begin(), problem.responses.end(), branches)) {
    return;
  }
  uint64_t correct = 0;
  for (const Response& response : problem.responses) {
    correct += response.initial->grades[0].correct ? 1 : 0;
  }
  const uint64_t responses = problem.responses.size();
  totals->pairs += responses * (responses - 1) / 2;
  totals->differing += correct * (responses - correct);
}

Json Lag(bool any, uint32_t batch, uint32_t version) {
  if (!any) return nullptr;
  return Json::array({batch - version, batch - version});
}

Json Overlap(const std::optional<Span>& train, const StepTiming& timing) {
  if (!train.has_value()) return nullptr;
  std::vector<Span> clipped;
  for (const Span& span : timing.rollouts) {
    const Span inside{std::max(span.start, timing.window_start), std::min(span.end, train->end)};
    if (inside.start < inside.end) clipped.push_back(inside);
  }
  const std::vector<Span> rollouts = MergeSpans(std::move(clipped));
  const std::vector<Span> learner = {*train};
  return Ratio(CommonSeconds(rollouts, learner),
               std::min(TotalSeconds(rollouts), TotalSeconds(learner)));
}

Json SpanSeconds(const std::optional<Span>& span) {
  return span.has_value() ? Json(span->end - span->start) : Json(nullptr);
}

// What the learner measured; null where nothing was trained.
void AddStatistics(const TrainStatistics& statistics, bool trained, Json* line) {
  auto value = [trained](double number) { return trained ? Finite(number) : Json(nullptr); };
  (*line)["loss"] = value(statistics.loss);
  (*line)["kl"] = value(statistics.kl);
  (*line)["entropy"] = value(statistics.entropy);
  (*line)["ratio_max"] = value(statistics.ratio_max);
  (*line)["clip_low"] = value(statistics.clip_low);
  (*line)["clip_high"] = value(statistics.clip_high);
  (*line)["importance_mean"] = value(statistics.importance_mean);
  (*line)["importance_max"] = value(statistics.importance_max);
  (*line)["importance_truncated"] = value(statistics.importance_truncated);
  (*line)["effective_samples"] = value(statistics.effective_samples);
  (*line)["behaviour_k1"] = value(statistics.behaviour_k1);
  (*line)["behaviour_k3"] = value(statistics.behaviour_k3);
  (*line)["grad_norm"] = value(statistics.grad_norm);
  (*line)["learning_rate"] = Finite(statistics.learning_rate);
}

}  // namespace

BatchFacts FactsOf(const SchedulerOptions& options, const BatchState& batch,
                   const std::vector<ProblemOutcome>& outcomes) {
  BatchFacts totals;
  totals.problems = batch.problems.size();
  for (size_t i = 0; i < batch.problems.size(); ++i) {
    totals.samples += outcomes[i].samples;
    if (outcomes[i].kept == Kept::kAll) totals.valid += outcomes[i].samples;
    CountPairs(batch.problems[i], &totals);
    for (const Response& response : batch.problems[i].responses) {
      totals.initials = true;
      CountItem(*response.initial, &totals);
      const Grade& grade = response.initial->grades[0];
      const SampleResult& sample = response.initial->result.samples[0];
      CountLeaf(sample, grade, 0, &totals);
      if (!sample.fci.empty()) {
        ++totals.scored;
        totals.score += tree::AttentionMean({&sample.fci, 1});
      }
      if (!batch.problems[i].ungradable) {
        ++totals.initials_graded;
        totals.initials_correct += grade.correct ? 1 : 0;
      }
      if (response.continuation.has_value()) CountContinuations(options, response, &totals);
    }
  }
  return totals;
}

std::string MetricsLine(const BatchState& batch, const BatchFacts& totals,
                        const SamplingVersions& versions, const BatchCommit& commit,
                        const StepTiming& timing) {
  const TrainStatistics& statistics = commit.statistics;
  const bool trained = totals.valid > 0;
  const auto leaves = static_cast<double>(totals.leaves);
  Json line;
  line["step"] = batch.number;
  line["weight_version"] = batch.number + 1;
  line["reward_mean"] = Ratio(totals.reward, static_cast<double>(totals.rewarded));
  line["initial_accuracy"] = Ratio(static_cast<double>(totals.initials_correct),
                                   static_cast<double>(totals.initials_graded));
  line["problems"] = batch.problems.size();
  line["valid_samples"] = totals.valid;
  line["valid_ratio"] =
      Ratio(static_cast<double>(totals.valid), static_cast<double>(totals.samples));
  line["leaves"] = totals.leaves;
  line["verdicts"] = VerdictsJson(totals.verdicts);
  line["generated_tokens"] = totals.generated;
  line["prefix_tokens_reused"] = totals.reused;
  line["trained_tokens"] = statistics.trained_tokens;
  line["trained_tokens_unpacked"] = statistics.trained_tokens_unpacked;
  line["lag_initial"] = Lag(totals.initials, batch.number, versions.initial.number);
  line["lag_continuation"] = Lag(totals.continuations, batch.number, versions.continuation.number);
  AddStatistics(statistics, trained, &line);
  line["optimizer_steps"] = statistics.optimizer_steps;
  line["nonfinite_steps"] = statistics.nonfinite_steps;
  line["response_tokens_mean"] = Ratio(static_cast<double>(totals.response_tokens), leaves);
  line["truncated_ratio"] = Ratio(static_cast<double>(totals.truncated), leaves);
  line["fci_mean"] = Ratio(totals.score, static_cast<double>(totals.scored));
  line["branch_gain"] =
      Ratio(static_cast<double>(totals.disagreeing), static_cast<double>(totals.points));
  line["initial_gain"] =
      Ratio(static_cast<double>(totals.differing), static_cast<double>(totals.pairs));
  line["continuation_tokens_mean"] =
      Ratio(static_cast<double>(totals.continuation_tokens), static_cast<double>(totals.continued));
  Json seconds;
  seconds["step"] = timing.step_seconds;
  seconds["rollout"] = TotalSeconds(MergeSpans(totals.rollouts));
  seconds["verify"] = TotalSeconds(MergeSpans(totals.gradings));
  seconds["learn"] = SpanSeconds(statistics.train);
  seconds["wait"] = Finite(statistics.wait_seconds);
  seconds["sync"] = SpanSeconds(statistics.sync);
  line["seconds"] = std::move(seconds);
  line["overlap"] = Overlap(statistics.train, timing);
  line["best_checkpoint"] = commit.best ? Json(commit.best->step) : Json(nullptr);
  line["best_checkpoint_accuracy"] = commit.best ? Finite(commit.best->accuracy) : Json(nullptr);
  return PrintJson(line);
}

}  // namespace attnrl::scheduler
