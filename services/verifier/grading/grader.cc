// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/grader.h"

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "services/verifier/grading/deciding/decide.h"
#include "services/verifier/grading/reading/answer.h"
#include "services/verifier/grading/reading/extract.h"
#include "services/verifier/grading/reading/utf8.h"

namespace attnrl::verifier {
namespace {

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string Read(const std::vector<Reading>& readings) {
  std::string text;
  for (const Reading& reading : readings) {
    if (!text.empty()) text += ", or ";
    text += reading.expression ? Text(*reading.expression) : "as text only";
  }
  return text.empty() ? "not at all" : text;
}

// The rule by which a reading of the one equals a reading of the other, in `*rule`; where none
// does, the last that said no.
bool Matches(const std::vector<Reading>& given, const std::vector<Reading>& wanted, Work& work,
             std::string* rule) {
  *rule = "read as text only, and the texts differ";
  for (const Reading& mine : given) {
    for (const Reading& theirs : wanted) {
      if (mine.tokens == theirs.tokens) {
        *rule = "typeset alike";
        return true;
      }
      if (mine.expression && theirs.expression &&
          IsSame(*mine.expression, *theirs.expression, work, rule)) {
        return true;
      }
    }
  }
  if (work.exhausted()) *rule = "a limit was reached";
  return false;
}

// Compares the answer of a response with the accepted ones.
class Comparer {
 public:
  Comparer(const GradeRequest& request, const Limits& limits, GradeResult& result)
      : request_(request), limits_(limits), result_(result) {}

  void Compare(std::string_view answer) {
    result_.status = GradeStatus::kGraded;
    for (size_t i = 0; i < request_.answers.size(); ++i) {
      if (answer.empty() || Trimmed(request_.answers[i]) != answer) continue;
      Explain("accepted", request_.answers[i], "the same text");
      return Accept(i);
    }
    if (answer.size() > limits_.answer_bytes) {
      result_.status = GradeStatus::kLimit;
      return;
    }
    // The response pays for reading its own answer; each comparison has a budget of its own, so
    // that the order and number of accepted answers decide nothing.
    Work reading(limits_.work);
    const std::vector<Reading> given = ReadAnswer(answer, limits_.depth, reading);
    if (request_.explain) result_.explanation += "answer: read as " + Read(given) + "\n";
    if (given.empty()) {
      result_.status = reading.exhausted() ? GradeStatus::kLimit : GradeStatus::kUnparsable;
      return;
    }
    for (size_t i = 0; i < request_.answers.size(); ++i) {
      if (CompareWith(given, request_.answers[i])) return Accept(i);
    }
  }

 private:
  bool CompareWith(const std::vector<Reading>& given, const std::string& raw) {
    const std::string accepted = Unwrapped(raw);
    Work work(limits_.work);
    if (accepted.size() > limits_.answer_bytes) return false;
    const std::vector<Reading> wanted = ReadAnswer(accepted, limits_.depth, work);
    std::string rule;
    const bool same = Matches(given, wanted, work, &rule);
    Explain(same ? "accepted" : "refused", Read(wanted), rule);
    if (work.exhausted()) result_.status = GradeStatus::kLimit;
    return same;
  }

  void Explain(const char* verdict, const std::string& wanted, const std::string& rule) {
    if (!request_.explain || result_.explanation.size() > limits_.explanation_bytes) return;
    result_.explanation +=
        std::string(verdict) + " for: " + wanted.substr(0, kLongestReading) + "\n  " + rule + "\n";
  }

  void Accept(size_t index) {
    result_.status = GradeStatus::kGraded;
    result_.correct = true;
    result_.matched = static_cast<int32_t>(index);
  }

  static constexpr size_t kLongestReading = 2000;

  const GradeRequest& request_;
  const Limits& limits_;
  GradeResult& result_;
};

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
  if (request.response.size() > limits.response_bytes) {
    result.status = GradeStatus::kLimit;
  } else if (const std::optional<Extracted> box = Extract(request)) {
    const std::string undoubled = box->doubled ? Undoubled(box->text) : "";
    const std::string_view answer = Trimmed(box->doubled ? undoubled : box->text);
    result.extracted = ValidPrefix(answer, limits.extracted_bytes);
    Comparer(request, limits, result).Compare(answer);
    result.explanation = ValidPrefix(result.explanation, limits.explanation_bytes);
  }
  auto taken = std::chrono::steady_clock::now() - start;
  result.micros =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(taken).count());
  return result;
}

}  // namespace attnrl::verifier
