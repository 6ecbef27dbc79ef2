// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attnrl::verifier {

// Most responses in one call of Verify, and most bytes of responses and answers together; so also
// the most of one response with its answers that can be sent.
inline constexpr size_t kMaxResponsesPerCall = 256;
inline constexpr size_t kMaxBytesPerCall = size_t{7} << 18;
// Longest message of the service: the above and what surrounds it. Below gRPC's default of 4 MiB,
// because a message of nothing but empty ones takes fifty times its bytes when it is parsed.
inline constexpr size_t kMaxMessageBytes = size_t{2} << 20;
// Of one response with its answers, where it is graded without a call.
inline constexpr size_t kMaxBytesPerResponse = size_t{32} << 20;

// The graders of the product, by name: services/verifier/grading/graders/README.md.
inline constexpr const char* kGraders[] = {"math", "exact_match", "multiple_choice",
                                           "numeric_tolerance"};

// Whether `name` is one of them; the empty name means "math".
bool IsGrader(std::string_view name);

// How the grading of one response ended. The words of StatusName are those of
// services/verifier/README.md, "Verdicts" (`attnrl verify`) and of `verdict` in a run's trees/
// files.
enum class GradeStatus {
  kGraded,      // "graded": compared with every accepted answer until one matched
  kNoAnswer,    // "no_answer": no boxed answer
  kUnparsable,  // "unparsable": an answer that the grader can't read
  kTimeout,     // "timeout": the watchdog ended the grader; says nothing about the response
  kLimit,       // "limit": the response exceeds a counted limit; graded incorrect
  kCrash,       // "crash": the grader died; says nothing about the response
};

std::string_view StatusName(GradeStatus status);

// True where the status is a verdict about the response, so that it may become a reward. Time-outs
// and crashes are not: the problem is dropped and counted (tests/README.md, promise 7).
bool IsVerdict(GradeStatus status);

struct GradeRequest {
  // Returned with the result; means nothing to the verifier.
  std::string id;
  // Any bytes; meant to be UTF-8.
  std::string response;
  // Accepted answers, raw as in the data set; any one suffices. At least one.
  std::vector<std::string> answers;
  // How answers are compared: a name of kGraders, or one that another verifier knows. Empty: math.
  std::string grader = {};
  // Where no \boxed{} is found, look for "the answer is" and for the last formula. Off in training.
  bool anywhere = false;
  // Fill GradeResult::explanation.
  bool explain = false;
  // Grade nothing: only say in GradeResult::explanation how each accepted answer is read, one
  // letter each (AnswerKind). The status is kUnparsable where nothing can match one.
  bool check = false;
};

// How a grader reads an accepted answer.
enum class AnswerKind : char {
  kValue = 'v',        // as what it means
  kText = 't',         // as mere text, which only its own spelling matches
  kUnmatchable = 'x',  // not at all: empty, or unreadable
};

// What a response takes of kMaxBytesPerResponse and kMaxBytesPerCall.
size_t Bytes(std::string_view response, const std::vector<std::string>& answers);
inline size_t Bytes(const GradeRequest& request) {
  return Bytes(request.response, request.answers);
}

struct GradeResult {
  std::string id;
  GradeStatus status = GradeStatus::kCrash;
  bool correct = false;
  // The answer found in the response, UTF-8, 64 KiB of it at most; empty where there is none.
  std::string extracted;
  // Index into GradeRequest::answers of the one that matched; -1 where none did.
  int32_t matched = -1;
  // Wall time of the grading in microseconds. Decides nothing.
  uint64_t micros = 0;
  // How both sides were read, which rule decided and why, in a few lines; only where asked for.
  std::string explanation = {};
};

}  // namespace attnrl::verifier
