// SPDX-License-Identifier: Apache-2.0
#include "common/tree/criteria/criterion.h"
#include "common/tree/criteria/points.h"

namespace attnrl::tree {
namespace {

constexpr ChoiceEntry kChoices[] = {
    {"positional", Choice::kPositional,
     [](const ScoredResponse& response, const PointOptions& options) {
       return PositionalPoints(response.steps, response.fci, options);
     }},
    {"top", Choice::kTop,
     [](const ScoredResponse& response, const PointOptions& options) {
       return TopPoints(response.steps, response.fci, options);
     }},
};

// The criterion's scores, and what the configured choice makes of them.
std::vector<BranchPoint> FciPoints(const ScoredResponse& response, const PointOptions& options) {
  for (const ChoiceEntry& each : kChoices) {
    if (each.choice == options.choice) return each.points(response, options);
  }
  return {};
}

constexpr CriterionEntry kCriteria[] = {
    {"fci", Criterion::kFci, true, FciPoints},
    {"entropy", Criterion::kEntropy, false,
     [](const ScoredResponse& response, const PointOptions& options) {
       return EntropyPoints(response.entropy, options.count);
     }},
    {"random", Criterion::kRandom, false,
     [](const ScoredResponse& response, const PointOptions& options) {
       return RandomPoints(response.steps, options.count, response.key);
     }},
    {"fixed_length", Criterion::kFixedLength, false,
     [](const ScoredResponse& response, const PointOptions& options) {
       return FixedLengthPoints(ResponseTokens(response.steps), options.count, response.key);
     }},
    {"earliest", Criterion::kEarliest, false,
     [](const ScoredResponse& response, const PointOptions& options) {
       return EarliestPoints(response.steps, options.count);
     }},
    {"none", Criterion::kNone, false,
     [](const ScoredResponse&, const PointOptions&) { return std::vector<BranchPoint>(); }},
};

const CriterionEntry& EntryOf(Criterion criterion) {
  for (const CriterionEntry& each : kCriteria) {
    if (each.criterion == criterion) return each;
  }
  return EntryOf(Criterion::kNone);
}

}  // namespace

std::span<const CriterionEntry> Criteria() { return kCriteria; }
std::span<const ChoiceEntry> Choices() { return kChoices; }

std::vector<Word<Criterion>> WordsOf(Criterion) {
  std::vector<Word<Criterion>> words;
  for (const CriterionEntry& each : Criteria()) words.push_back({each.word, each.criterion});
  return words;
}

std::vector<Word<Choice>> WordsOf(Choice) {
  std::vector<Word<Choice>> words;
  for (const ChoiceEntry& each : Choices()) words.push_back({each.word, each.choice});
  return words;
}

bool ReadsFci(Criterion criterion) { return EntryOf(criterion).reads_fci; }

std::vector<BranchPoint> ChoosePoints(Criterion criterion, const ScoredResponse& response,
                                      const PointOptions& options) {
  return EntryOf(criterion).points(response, options);
}

}  // namespace attnrl::tree
