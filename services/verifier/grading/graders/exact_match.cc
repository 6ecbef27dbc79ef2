// SPDX-License-Identifier: Apache-2.0
// Accepts the very text of an accepted answer, but for white space around it and a style command
// around all of it. For codes, names and other answers whose every character counts.
#include "services/verifier/grading/graders/makers.h"
#include "services/verifier/grading/graders/plain_text.h"

namespace attnrl::verifier {
namespace {

class ExactMatch final : public Grader {
 public:
  explicit ExactMatch(bool explain) : explain_(explain) {}

  GradeStatus Read(std::string_view answer, std::string* explanation) override {
    given_ = PlainText(answer);
    if (explain_) *explanation = "read as \"" + given_ + "\"";
    return given_.empty() ? GradeStatus::kUnparsable : GradeStatus::kGraded;
  }

  Match Compare(const std::string& accepted, bool* limit) override {
    *limit = false;
    const std::string wanted = PlainText(accepted);
    Match match = {given_ == wanted};
    if (explain_) {
      match.explanation =
          "\"" + wanted + "\"\n  " + (match.same ? "the same characters" : "other characters");
    }
    return match;
  }

  AnswerKind Check(const std::string& accepted) override {
    return PlainText(accepted).empty() ? AnswerKind::kUnmatchable : AnswerKind::kValue;
  }

 private:
  const bool explain_;
  std::string given_;
};

}  // namespace

std::unique_ptr<Grader> MakeExactMatch(const Limits&, bool explain) {
  return std::make_unique<ExactMatch>(explain);
}

}  // namespace attnrl::verifier
