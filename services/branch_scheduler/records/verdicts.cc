// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/records/verdicts.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace attnrl::scheduler {

Verdict VerdictOf(verifier::GradeStatus status, bool correct) {
  if (correct && verifier::IsVerdict(status)) return Verdict::kCorrect;
  switch (status) {
    case verifier::GradeStatus::kGraded:
      return Verdict::kIncorrect;
    case verifier::GradeStatus::kNoAnswer:
      return Verdict::kNoAnswer;
    case verifier::GradeStatus::kUnparsable:
      return Verdict::kUnparsable;
    case verifier::GradeStatus::kTimeout:
      return Verdict::kTimeout;
    case verifier::GradeStatus::kLimit:
      return Verdict::kLimit;
    case verifier::GradeStatus::kCrash:
      return Verdict::kCrash;
  }
  return Verdict::kCrash;
}

VerdictCounts& VerdictCounts::operator+=(const VerdictCounts& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  return *this;
}

nlohmann::ordered_json VerdictsJson(const VerdictCounts& counts) {
  nlohmann::ordered_json json;
  for (const auto& [word, verdict] : WordsOf(Verdict{})) {
    json[std::string(word)] = counts[verdict];
  }
  return json;
}

BatchVerdicts ReadVerdicts(const nlohmann::json& metrics_line) {
  if (!metrics_line.is_object()) return {};
  const auto counts = metrics_line.find("verdicts");
  if (counts == metrics_line.end() || !counts->is_object()) return {};
  BatchVerdicts read;
  for (const auto& [word, verdict] : WordsOf(Verdict{})) {
    const auto count = counts->find(std::string(word));
    if (count == counts->end() || !count->is_number_unsigned()) return {};
    read.verdicts[verdict] = count->get<uint64_t>();
  }
  // The line has their share of all leaves; the quotient of two counts gives the count back.
  const auto ratio = metrics_line.find("truncated_ratio");
  if (ratio != metrics_line.end() && ratio->is_number()) {
    const auto share = ratio->get<double>();
    if (share > 0 && share <= 1) {
      read.truncated =
          static_cast<uint64_t>(std::llround(share * static_cast<double>(read.verdicts.total())));
    }
  }
  return read;
}

}  // namespace attnrl::scheduler
