// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <numeric>
#include <string_view>
#include <vector>

#include "common/base/words.h"
#include "services/verifier/types.h"

// What became of the responses of a batch, counted: `verdicts` of metrics.jsonl
// (services/branch_scheduler/records/README.md), of Prometheus and of `attnrl status`. Pure.
namespace attnrl::scheduler {

// The word of one leaf: the status of its grading, with `graded` parted into right and wrong.
enum class Verdict { kCorrect, kIncorrect, kNoAnswer, kUnparsable, kLimit, kTimeout, kCrash };
inline constexpr size_t kVerdicts = 7;

inline std::vector<Word<Verdict>> WordsOf(Verdict) {
  return {{"correct", Verdict::kCorrect},    {"incorrect", Verdict::kIncorrect},
          {"no_answer", Verdict::kNoAnswer}, {"unparsable", Verdict::kUnparsable},
          {"limit", Verdict::kLimit},        {"timeout", Verdict::kTimeout},
          {"crash", Verdict::kCrash}};
}

// kCorrect exactly where the leaf's reward is 1: a verifier of somebody else's may find right what
// it names otherwise, but no time-out and no crash is ever right.
Verdict VerdictOf(verifier::GradeStatus status, bool correct);

// How many leaves have each verdict.
class VerdictCounts {
 public:
  uint64_t& operator[](Verdict verdict) { return counts_[static_cast<size_t>(verdict)]; }
  uint64_t operator[](Verdict verdict) const { return counts_[static_cast<size_t>(verdict)]; }
  uint64_t total() const { return std::accumulate(counts_.begin(), counts_.end(), uint64_t{0}); }
  VerdictCounts& operator+=(const VerdictCounts& other);
  bool operator==(const VerdictCounts&) const = default;

 private:
  std::array<uint64_t, kVerdicts> counts_ = {};
};

// {"correct":..,"incorrect":..,..}: every word, also of those that nothing has.
nlohmann::ordered_json VerdictsJson(const VerdictCounts& counts);

// What a line of metrics.jsonl says of the leaves of its batch.
struct BatchVerdicts {
  VerdictCounts verdicts = {};
  uint64_t truncated = 0;  // leaves that were cut off at the token limit

  bool operator==(const BatchVerdicts&) const = default;
};

// All 0 where the line has no counts: it is of a run from before there were any, or no such line.
BatchVerdicts ReadVerdicts(const nlohmann::json& metrics_line);

}  // namespace attnrl::scheduler
