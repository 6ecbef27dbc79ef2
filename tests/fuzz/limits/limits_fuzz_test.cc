// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "common/base/philox.h"
#include "services/verifier/types.h"
#include "tests/fuzz/limits/answers.h"
#include "tests/fuzz/limits/counted.h"

namespace attnrl::fuzz {
namespace {

class CostlyAnswers : public testing::TestWithParam<uint32_t> {};

TEST_P(CostlyAnswers, GetAVerdictOrALimitWithinBoundedWork) {
  constexpr uint32_t kAnswers = 50;
  std::map<verifier::GradeStatus, int> statuses;
  for (uint32_t i = 0; i < kAnswers; ++i) {
    RandomStream random({.seed = GetParam(), .position = i});
    const Costly costly = MakeCostly(random);
    Counts counts;
    const verifier::GradeResult result = GradeCounted(costly.answer, costly.accepted, &counts);
    EXPECT_EQ(Broken(result, counts), "")
        << "seed " << GetParam() << ", position " << i << ": " << costly.answer.substr(0, 200);
    ++statuses[result.status];
  }
  EXPECT_GT(statuses[verifier::GradeStatus::kLimit], 0) << "the attack is no attack";
  EXPECT_GT(statuses[verifier::GradeStatus::kGraded], 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CostlyAnswers, testing::Range(0u, 8u));

TEST(CostlyAnswers, AreTheSameForOneSeed) {
  RandomStream one({.seed = 3, .position = 4});
  RandomStream other({.seed = 3, .position = 4});
  EXPECT_EQ(MakeCostly(one).answer, MakeCostly(other).answer);
}

TEST(Counted, SeesWhatIsAllocated) {
  Counts little;
  Counts more;
  GradeCounted("1+2", "3", &little);
  GradeCounted("1+2" + std::string(1000, '+') + "\\frac{x}{y}", "3", &more);
  EXPECT_GT(little.allocations, 0);
  EXPECT_GT(more.allocations, little.allocations);
  EXPECT_GT(more.peak_bytes, little.peak_bytes);
}

}  // namespace
}  // namespace attnrl::fuzz
