// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/rational.h"

#include <gtest/gtest.h>

#include <string>

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

TEST_F(RationalTest, StopsWhenTheWorkIsUsedUp) {
  Power(Of("7"), 1'000'000, work_);
  EXPECT_TRUE(work_.exhausted());
  EXPECT_FALSE(Same(Of("1"), "1.0"));  // nothing is equal any more where work is needed
}

}  // namespace
}  // namespace attnrl::verifier
