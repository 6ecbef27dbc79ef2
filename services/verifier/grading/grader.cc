// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/grader.h"

#include <chrono>
#include <optional>
#include <string_view>

#include "services/verifier/grading/equivalence.h"
#include "services/verifier/grading/extract.h"
#include "services/verifier/grading/latex.h"
#include "services/verifier/grading/utf8.h"

namespace attnrl::verifier {
namespace {

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

void Compare(const GradeRequest& request, std::string_view answer, const Limits& limits,
             GradeResult& result) {
  result.status = GradeStatus::kGraded;
  for (size_t i = 0; i < request.answers.size(); ++i) {
    if (answer.empty() || Trimmed(request.answers[i]) != answer) continue;
    result.correct = true;
    result.matched = static_cast<int32_t>(i);
    return;
  }
  if (answer.size() > limits.answer_bytes) {
    result.status = GradeStatus::kLimit;
    return;
  }
  // The response pays for reading its own answer; each comparison has a budget of its own, so that
  // the order and number of accepted answers decide nothing.
  Work reading(limits.work);
  std::optional<Tokens> given = ReadLatex(answer, limits.depth, reading);
  if (!given || given->empty()) {
    result.status = reading.exhausted() ? GradeStatus::kLimit : GradeStatus::kUnparsable;
    return;
  }
  for (size_t i = 0; i < request.answers.size(); ++i) {
    const std::string& accepted = request.answers[i];
    Work work(limits.work);
    if (accepted.size() > limits.answer_bytes) continue;
    std::optional<Tokens> wanted = ReadLatex(accepted, limits.depth, work);
    if (!wanted) continue;
    if (Equivalent(*given, *wanted, limits.depth, work)) {
      result.status = GradeStatus::kGraded;
      result.correct = true;
      result.matched = static_cast<int32_t>(i);
      return;
    }
    if (work.exhausted()) result.status = GradeStatus::kLimit;
  }
}

}  // namespace

GradeResult Grade(const GradeRequest& request, const Limits& limits) {
  auto start = std::chrono::steady_clock::now();
  GradeResult result;
  result.id = request.id;
  result.status = GradeStatus::kNoAnswer;
  if (request.response.size() > limits.response_bytes) {
    result.status = GradeStatus::kLimit;
  } else if (std::optional<std::string_view> box = ExtractAnswer(request.response)) {
    std::string_view answer = Trimmed(*box);
    result.extracted = ValidPrefix(answer, limits.extracted_bytes);
    Compare(request, answer, limits, result);
  }
  auto taken = std::chrono::steady_clock::now() - start;
  result.micros =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(taken).count());
  return result;
}

}  // namespace attnrl::verifier
