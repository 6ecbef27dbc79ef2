// SPDX-License-Identifier: Apache-2.0
// Any bytes as a response: what is found is a part of it, is the last box, and stays the same with
// text around it that has no box.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/verifier/grading/reading/answer.h"
#include "services/verifier/grading/reading/extract.h"
#include "tests/fuzz/targets/require.h"

namespace attnrl::fuzz {
namespace {

using verifier::Extracted;

bool IsPart(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void Check(std::string_view response) {
  const std::optional<Extracted> box = verifier::ExtractAnswer(response);
  if (box) {
    Require(IsPart(box->text, response), "a box is a part of the response");
    const std::string behind = std::string(response) + " done";
    const std::optional<Extracted> again = verifier::ExtractAnswer(behind);
    Require(again && again->text == box->text, "text behind the box changes nothing");
    const std::string last = std::string(response) + "\n\\boxed{7}";
    const std::optional<Extracted> other = verifier::ExtractAnswer(last);
    // A backslash at the end takes the next character with it.
    Require(other.has_value(), "another box behind leaves one");
  }
  if (const std::optional<Extracted> found = verifier::FindAnswer(response)) {
    Require(IsPart(found->text, response), "an answer is a part of the response");
  }
  verifier::Unwrapped(response);
  verifier::Undoubled(response);
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
