// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/graders/graders.h"

#include <iterator>

#include "services/verifier/grading/graders/makers.h"

namespace attnrl::verifier {
namespace {

using Maker = std::unique_ptr<Grader> (*)(const Limits&, bool);

// In the order of kGraders.
constexpr Maker kMakers[] = {MakeMath, MakeExactMatch, MakeMultipleChoice, MakeNumericTolerance};
static_assert(std::size(kMakers) == std::size(kGraders));

}  // namespace

std::unique_ptr<Grader> MakeGrader(std::string_view name, const Limits& limits, bool explain) {
  for (size_t i = 0; i < std::size(kGraders); ++i) {
    if (name == kGraders[i] || (name.empty() && i == 0)) return kMakers[i](limits, explain);
  }
  return nullptr;
}

}  // namespace attnrl::verifier
