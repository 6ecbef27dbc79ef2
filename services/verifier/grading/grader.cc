// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/grader.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "services/verifier/grading/graders/graders.h"
#include "services/verifier/grading/reading/answer.h"
#include "services/verifier/grading/reading/extract.h"
#include "services/verifier/grading/tokens/characters.h"
#include "services/verifier/grading/tokens/utf8.h"

namespace attnrl::verifier {
namespace {

void Note(const std::string& text, const Limits& limits, GradeResult& result) {
  if (result.explanation.size() < limits.explanation_bytes) result.explanation += text + "\n";
}

// Compares the answer of a response with the accepted ones until one matches.
void Compare(const GradeRequest& request, std::string_view answer, const Limits& limits,
             GradeResult& result) {
  const auto accept = [&result](size_t index) {
    result.status = GradeStatus::kGraded;
    result.correct = true;
    result.matched = static_cast<int32_t>(index);
  };
  for (size_t i = 0; i < request.answers.size(); ++i) {
    if (answer.empty() || Trimmed(request.answers[i]) != answer) continue;
    if (request.explain) Note("accepted: the same text as an accepted answer", limits, result);
    return accept(i);
  }
  const std::unique_ptr<Grader> grader = MakeGrader(request.grader, limits, request.explain);
  if (grader == nullptr) {
    result.status = GradeStatus::kUnparsable;
    return;
  }
  std::string reading;
  result.status =
      answer.size() > limits.answer_bytes ? GradeStatus::kLimit : grader->Read(answer, &reading);
  if (request.explain) Note("answer: " + reading, limits, result);
  if (result.status != GradeStatus::kGraded) return;
  for (size_t i = 0; i < request.answers.size(); ++i) {
    bool limit = false;
    const Match match = grader->Compare(request.answers[i], &limit);
    if (request.explain) {
      Note((match.same ? "accepted for: " : "refused for: ") + match.explanation, limits, result);
    }
    if (match.same) return accept(i);
    if (limit) result.status = GradeStatus::kLimit;
  }
}

// One letter for each accepted answer.
void CheckAnswers(const GradeRequest& request, const Limits& limits, GradeResult& result) {
  result.status = GradeStatus::kGraded;
  for (const std::string& accepted : request.answers) {
    const std::unique_ptr<Grader> grader = MakeGrader(request.grader, limits, false);
    const AnswerKind kind = grader == nullptr ? AnswerKind::kUnmatchable : grader->Check(accepted);
    result.explanation += static_cast<char>(kind);
    if (kind == AnswerKind::kUnmatchable) result.status = GradeStatus::kUnparsable;
  }
}

// The box, or, where that is asked for, what else looks like an answer.
std::optional<Extracted> Extract(const GradeRequest& request) {
  std::optional<Extracted> box = ExtractAnswer(request.response);
  if (box || !request.anywhere) return box;
  return FindAnswer(request.response);
}

}  // namespace

GradeResult Grade(const GradeRequest& request, const Limits& limits) {
  auto start = std::chrono::steady_clock::now();
  GradeResult result;
  result.id = request.id;
  result.status = GradeStatus::kNoAnswer;
  if (request.check) {
    CheckAnswers(request, limits, result);
  } else if (request.response.size() > limits.response_bytes) {
    result.status = GradeStatus::kLimit;
  } else if (const std::optional<Extracted> box = Extract(request)) {
    const std::string answer = AnswerText(*box);
    result.extracted = ValidPrefix(answer, limits.extracted_bytes);
    Compare(request, answer, limits, result);
    result.explanation = ValidPrefix(result.explanation, limits.explanation_bytes);
  }
  auto taken = std::chrono::steady_clock::now() - start;
  result.micros =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(taken).count());
  return result;
}

}  // namespace attnrl::verifier
