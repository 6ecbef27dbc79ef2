// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace attnrl::verifier {

// What one grading may cost. Everything is counted, nothing is timed, so a response that exceeds a
// limit does so on every machine: it is graded incorrect with the status `limit`.
struct Limits {
  size_t response_bytes = size_t{16} << 20;
  // The text inside the box, and each accepted answer, where they are not the same text.
  size_t answer_bytes = size_t{64} << 10;
  // Of the text inside the box, what a result carries.
  size_t extracted_bytes = size_t{64} << 10;
  // Of an explanation.
  size_t explanation_bytes = size_t{16} << 10;
  // Nested groups, brackets and fractions in an answer.
  int depth = 200;
  // Steps of work: one for each token looked at and for each product of two 9-digit limbs.
  // A twentieth of a second at most.
  int64_t work = 1'000'000;
};

// Counts work down. Once it is used up it stays so, and grading stops wherever that is seen.
class Work {
 public:
  explicit Work(int64_t steps) : left_(steps) {}

  // False when `steps` more are not allowed.
  bool Spend(int64_t steps) {
    if (steps > left_) left_ = -1;
    if (left_ < 0) return false;
    left_ -= steps;
    return true;
  }
  int64_t left() const { return left_; }
  bool exhausted() const { return left_ < 0; }
  // Marks a limit as exceeded that isn't a number of steps, as depth.
  void Exhaust() { left_ = -1; }

 private:
  int64_t left_;
};

}  // namespace attnrl::verifier
