// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/rational.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"

namespace attnrl::verifier {
namespace {

class RationalTest : public testing::Test {
 protected:
  Rational Of(std::string digits) {
    bool negative = digits[0] == '-';
    Rational value = Rational::FromDecimal(digits.substr(negative ? 1 : 0), work_);
    if (negative) value.Negate();
    return value;
  }
  bool Same(const Rational& a, const std::string& b) { return Equal(a, Of(b), work_); }

  Work work_{1'000'000};
};

TEST_F(RationalTest, ReadsDecimalsExactly) {
  EXPECT_TRUE(Same(Of("007.500"), "7.5"));
  EXPECT_TRUE(Same(Of(".5"), "0.50"));
  EXPECT_TRUE(Same(Of("3."), "3"));
  EXPECT_FALSE(Same(Of("0.3333333333333333333"), "0.33333333333333333333"));
  EXPECT_FALSE(Same(Of("9007199254740993"), "9007199254740992"));
}

TEST_F(RationalTest, AddsWithSigns) {
  EXPECT_TRUE(Same(Add(Of("0.1"), Of("0.2"), work_), "0.3"));
  EXPECT_TRUE(Same(Add(Of("-1000000000000"), Of("1"), work_), "-999999999999"));
  EXPECT_TRUE(Same(Add(Of("999999999"), Of("1"), work_), "1000000000"));
  EXPECT_TRUE(Same(Add(Of("2.5"), Of("-2.5"), work_), "0"));
  EXPECT_TRUE(Add(Of("2.5"), Of("-2.5"), work_).IsZero());
}

TEST_F(RationalTest, ZeroHasNoSign) {
  Rational zero = Of("0");
  zero.Negate();
  EXPECT_TRUE(Same(zero, "0"));
  EXPECT_TRUE(Same(Multiply(Of("-1"), Of("0"), work_), "0"));
}

TEST_F(RationalTest, MultipliesAndDivides) {
  EXPECT_TRUE(
      Same(Multiply(Of("123456789012"), Of("-987654321098"), work_), "-121932631136585886175176"));
  Rational third = Divide(Of("1"), Of("3"), work_);
  EXPECT_TRUE(Same(Multiply(third, Of("3"), work_), "1"));
  EXPECT_FALSE(Same(third, "0.333333333333"));
  EXPECT_TRUE(Same(Divide(Of("1"), Of("-4"), work_), "-0.25"));
}

TEST_F(RationalTest, RaisesToIntegerPowers) {
  EXPECT_TRUE(Same(Power(Of("-2"), 3, work_), "-8"));
  EXPECT_TRUE(Same(Power(Of("10"), -3, work_), "0.001"));
  EXPECT_TRUE(Same(Power(Of("5"), 0, work_), "1"));
  EXPECT_TRUE(Same(Power(Of("-2"), -3, work_), "-0.125"));
}

TEST_F(RationalTest, FindsIntegers) {
  int64_t value = 0;
  EXPECT_TRUE(Divide(Of("-12"), Of("4"), work_).ToInteger(100, &value, work_));
  EXPECT_EQ(value, -3);
  EXPECT_TRUE(Of("0").ToInteger(100, &value, work_));
  EXPECT_EQ(value, 0);
  EXPECT_FALSE(Of("0.5").ToInteger(100, &value, work_));
  EXPECT_FALSE(Of("101").ToInteger(100, &value, work_));
}

TEST_F(RationalTest, FindsIntegersUpToTheLimitAndNoFurther) {
  for (const int64_t limit : {int64_t{0}, int64_t{7}, int64_t{1'000'000'000}}) {
    for (const int64_t number : {limit, -limit, limit + 1, -limit - 1}) {
      int64_t value = 99;
      const bool within = number >= -limit && number <= limit;
      EXPECT_EQ(Of(std::to_string(number)).ToInteger(limit, &value, work_), within) << number;
      EXPECT_EQ(value, within ? number : 99);
    }
  }
}

// Around the borders of limbs and at random, against whole numbers of 64 bits.
TEST_F(RationalTest, ComputesAsWholeNumbersDo) {
  const int64_t borders[] = {0, 1, 9, 10, 999'999'999, 1'000'000'000, 1'000'000'001};
  Work work(100'000'000);
  RandomStream random({.seed = 8});
  const auto some = [&] {
    const auto number = random.Below(2) == 0 ? borders[random.Below(std::size(borders))]
                                             : static_cast<int64_t>(random.Below(1'000'000'000));
    return random.Below(2) == 0 ? number : -number;
  };
  const auto fraction = [&](int64_t over, int64_t under) {
    return Divide(Of(std::to_string(over)), Of(std::to_string(under)), work);
  };
  for (int round = 0; round < 2000; ++round) {
    const int64_t a = some();
    const int64_t c = some();
    const int64_t b = std::abs(some()) + 1;
    const int64_t d = std::abs(some()) + 1;
    const Rational x = fraction(a, b);
    const Rational y = fraction(c, d);
    const std::string message = absl::StrCat(a, "/", b, " and ", c, "/", d);
    EXPECT_EQ(Equal(x, y, work), a * d == b * c) << message;
    EXPECT_TRUE(Equal(Add(x, y, work), fraction(a * d + c * b, b * d), work)) << message;
    EXPECT_TRUE(Equal(Multiply(x, y, work), fraction(a * c, b * d), work)) << message;
    EXPECT_FALSE(Equal(Add(x, y, work), fraction(a * d + c * b + 1, b * d), work)) << message;
    if (c != 0) {
      EXPECT_TRUE(Equal(Divide(x, y, work), fraction(a * d, b * c), work)) << message;
    }
  }
  EXPECT_FALSE(work.exhausted());
}

TEST_F(RationalTest, StopsWhenTheWorkIsUsedUp) {
  Power(Of("7"), 1'000'000, work_);
  EXPECT_TRUE(work_.exhausted());
  EXPECT_FALSE(Same(Of("1"), "1.0"));  // nothing is equal any more where work is needed
}

}  // namespace
}  // namespace attnrl::verifier
