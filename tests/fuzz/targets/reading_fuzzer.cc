// SPDX-License-Identifier: Apache-2.0
// Any bytes as an answer: reading ends within its limits, is the same with space around the answer,
// and finds nothing only for a reason.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/verifier/grading/reading/answer.h"
#include "services/verifier/limits.h"
#include "tests/fuzz/targets/require.h"

namespace attnrl::fuzz {
namespace {

using verifier::Limits;
using verifier::Reading;
using verifier::Work;

bool Alike(const std::vector<Reading>& a, const std::vector<Reading>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].tokens != b[i].tokens || a[i].expression.has_value() != b[i].expression.has_value() ||
        (a[i].expression && !(*a[i].expression == *b[i].expression))) {
      return false;
    }
  }
  return true;
}

void Check(std::string_view answer) {
  const Limits limits;
  const auto read = [&limits](std::string_view text, Work& budget) {
    return verifier::ReadAnswer(text, verifier::Side::kGiven, limits.depth, budget);
  };
  Work work(limits.work);
  const std::vector<Reading> readings = read(answer, work);
  Require(readings.size() <= 3, "commas have three meanings at most");
  Require(readings.empty() || !work.exhausted(), "a limit leaves no reading");
  for (const Reading& reading : readings) {
    Require(!reading.tokens.empty(), "a reading has tokens");
    if (reading.expression) Text(*reading.expression);
  }
  Work more(2 * limits.work);
  Require(work.exhausted() || Alike(readings, read(" " + std::string(answer), more)),
          "space in front changes nothing");
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
