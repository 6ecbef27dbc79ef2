// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/bfloat16/bfloat16_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "common/kernels/bfloat16/testing/bfloat16_math.h"
#include "common/kernels/bfloat16/testing/emulated.h"
#include "common/kernels/isa.h"
#include "common/kernels/packed_matrix.h"
#include "common/kernels/testing/reference.h"

namespace attnrl::kernels {
namespace {

// Rows around every tile, outputs around panels and groups of panels, inputs around words, tiles
// and the blocks over which sums are put down and taken up again.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const int64_t rows : {1, 2, 5, 6, 7, 12, 13, 16, 17, 25, 33, 49}) {
    for (const int64_t out : {1, 15, 16, 17, 33, 64, 65, 100}) {
      shapes.push_back({rows, 1 + (rows * 7 + out * 5) % 67, out});
    }
  }
  for (const int64_t rows : {1, 6, 37, 70}) {
    for (const int64_t in : {512, 513, 1537}) shapes.push_back({rows, in, 35});
  }
  shapes.push_back({.rows = 130, .in = 4100, .out = 20});  // more rows than stay in a cache
  return shapes;
}

// Numbers that bfloat16 can hold, a few of them tiny.
std::vector<float> Narrow(RandomStream& random, int64_t count) {
  std::vector<float> values = FromBits(BFloat16Bits(RandomFloats(random, count)));
  for (size_t i = 0; i < values.size(); i += 97) values[i] = std::ldexp(values[i], -70);
  return values;
}

struct Problem {
  Problem(RandomStream& random, const Shape& of)
      : shape(of),
        x(Narrow(random, of.rows * of.in)),
        weight(Narrow(random, of.out * of.in)),
        bias(RandomFloats(random, of.out)),
        matrix(PackedMatrix::Type::kBFloat16, of.out, of.in) {
    matrix.Fill(0, of.out, BFloat16Bits(weight).data());
  }

  std::vector<float> RowOf(const std::vector<float>& values, int64_t row) const {
    return {values.begin() + row * shape.in, values.begin() + (row + 1) * shape.in};
  }

  Shape shape;
  std::vector<float> x;
  std::vector<float> weight;
  std::vector<float> bias;
  PackedMatrix matrix;
};

std::vector<uint32_t> Round(const BFloat16Kernels& kernels, const std::vector<float>& x,
                            int64_t in) {
  const int64_t rows = static_cast<int64_t>(x.size()) / in;
  std::vector<uint32_t> rounded(static_cast<size_t>(rows * PairsOf(in)), ~0U);
  for (int64_t row = 0; row < rows; ++row) {
    kernels.round(x.data() + row * in, in, rounded.data() + row * PairsOf(in));
  }
  return rounded;
}

std::vector<float> Multiply(const BFloat16Kernels& kernels, const std::vector<float>& x,
                            const PackedMatrix& matrix, const std::vector<float>& bias) {
  const std::vector<uint32_t> rounded = Round(kernels, x, matrix.in());
  const int64_t rows = static_cast<int64_t>(x.size()) / matrix.in();
  std::vector<float> y(static_cast<size_t>(rows * matrix.out()), -7.0F);
  kernels.multiply({.x = rounded.data(),
                    .x_stride = PairsOf(matrix.in()),
                    .rows = rows,
                    .matrix = matrix.view(),
                    .bias = bias.empty() ? nullptr : bias.data(),
                    .first_panel = 0,
                    .last_panel = matrix.panels(),
                    .y = y.data(),
                    .y_stride = matrix.out()});
  return y;
}

struct Which {
  const char* name;
  Isa isa;
  const BFloat16Kernels* emulated;  // or null: those of this machine
};

// What ctest shows beside the test's name.
void PrintTo(const Which& which, std::ostream* out) { *out << which.name; }

class BFloat16Products : public testing::TestWithParam<Which> {
 protected:
  void SetUp() override {
    const Which& which = GetParam();
    kernels_ = which.emulated != nullptr ? which.emulated : BFloat16KernelsOf(which.isa);
    if (kernels_ == nullptr) GTEST_SKIP() << "this machine has no " << WordOf(which.isa);
  }

  const BFloat16Kernels* kernels_ = nullptr;
  RandomStream random_{{.seed = 1}};
};

// Every step of a chain of n sums is off by half a unit of the largest of them at most, or makes
// zero of less than the least normal number.
TEST_P(BFloat16Products, AreAsNearToFloat64AsFloat32SumsCanBe) {
  for (const Shape& shape : Shapes()) {
    const Problem problem(random_, shape);
    for (const std::vector<float>& bias : {problem.bias, {}}) {
      const std::vector<float> y = Multiply(*kernels_, problem.x, problem.matrix, bias);
      for (int64_t r = 0; r < shape.rows; ++r) {
        for (int64_t o = 0; o < shape.out; ++o) {
          double sum = bias.empty() ? 0 : bias[static_cast<size_t>(o)];
          double size = std::fabs(sum);
          for (int64_t i = 0; i < shape.in; ++i) {
            const double term =
                static_cast<double>(problem.x[static_cast<size_t>(r * shape.in + i)]) *
                problem.weight[static_cast<size_t>(o * shape.in + i)];
            sum += term;
            size += std::fabs(term);
          }
          const double step = std::ldexp(size, -24) + std::ldexp(1, -126);
          ASSERT_NEAR(y[static_cast<size_t>(r * shape.out + o)], sum,
                      static_cast<double>(shape.in + 2) * step)
              << shape.rows << " x " << shape.in << " -> " << shape.out << ", row " << r;
        }
      }
    }
  }
}

TEST_P(BFloat16Products, GiveARowTheSameBitsAmongAnyOthers) {
  for (const int64_t in : {37, 1100}) {
    const Problem problem(random_, {.rows = 70, .in = in, .out = 83});
    const std::vector<float> all = Multiply(*kernels_, problem.x, problem.matrix, problem.bias);
    for (const int64_t rows : {1, 2, 6, 7, 13, 16, 17, 31, 33, 48, 69}) {
      for (const int64_t first : {int64_t{0}, 70 - rows}) {
        const std::vector<float> x(problem.x.begin() + first * in,
                                   problem.x.begin() + (first + rows) * in);
        const std::vector<float> some = Multiply(*kernels_, x, problem.matrix, problem.bias);
        ASSERT_TRUE(std::equal(some.begin(), some.end(), all.begin() + first * 83))
            << rows << " rows from " << first << ", " << in << " inputs";
      }
    }
  }
}

TEST_P(BFloat16Products, OfSomePanelsLeaveTheOthersAndWhatLiesBetweenRowsAlone) {
  constexpr int64_t kXStride = 40;
  constexpr int64_t kYStride = 95;
  for (const int64_t rows : {3, 20}) {
    const Problem problem(random_, {.rows = rows, .in = 5, .out = 90});
    const std::vector<float> whole = Multiply(*kernels_, problem.x, problem.matrix, {});
    std::vector<uint32_t> x(static_cast<size_t>(rows * kXStride), ~0U);
    for (int64_t r = 0; r < rows; ++r) {
      kernels_->round(problem.x.data() + r * 5, 5, x.data() + r * kXStride);
    }
    for (const auto& [first, last] :
         std::vector<std::pair<int64_t, int64_t>>{{0, 6}, {1, 4}, {5, 6}, {2, 2}}) {
      std::vector<float> y(static_cast<size_t>(rows * kYStride), -7.0F);
      kernels_->multiply({.x = x.data(),
                          .x_stride = kXStride,
                          .rows = rows,
                          .matrix = problem.matrix.view(),
                          .first_panel = first,
                          .last_panel = last,
                          .y = y.data(),
                          .y_stride = kYStride});
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < kYStride; ++o) {
          const bool computed = o >= first * 16 && o < std::min<int64_t>(last * 16, 90);
          ASSERT_EQ(y[static_cast<size_t>(r * kYStride + o)],
                    computed ? whole[static_cast<size_t>(r * 90 + o)] : -7.0F)
              << first << " to " << last << ", row " << r << ", output " << o;
        }
      }
    }
  }
}

TEST_P(BFloat16Products, OfNoRowsAreNothing) {
  const PackedMatrix matrix(PackedMatrix::Type::kBFloat16, 20, 3);
  EXPECT_TRUE(Multiply(*kernels_, {}, matrix, {}).empty());
}

TEST_P(BFloat16Products, KeepInfinitiesToTheirOwnRows) {
  PackedMatrix matrix(PackedMatrix::Type::kBFloat16, 17, 3);
  matrix.Fill(0, 17, BFloat16Bits(std::vector<float>(17 * 3, 1.0F)).data());
  const std::vector<float> y = Multiply(*kernels_, {1, 2, INFINITY, 1, 2, 3}, matrix, {});
  for (size_t o = 0; o < 17; ++o) {
    EXPECT_EQ(y[o], INFINITY);
    EXPECT_EQ(y[17 + o], 6);
  }
}

TEST_P(BFloat16Products, RoundInputsToTheNearestAndTiesToEven) {
  const auto of = [](uint32_t bits) { return std::bit_cast<float>(bits); };
  const std::vector<std::pair<float, uint32_t>> cases = {
      {1.0F, 0x3F80},           {of(0x3F807FFF), 0x3F80}, {of(0x3F808000), 0x3F80},
      {of(0x3F808001), 0x3F81}, {of(0x3F818000), 0x3F82}, {of(0xBF818000), 0xBF82},
      {of(0x3FFF8000), 0x4000}, {of(0x7F7FFFFF), 0x7F80}, {INFINITY, 0x7F80},
      {-INFINITY, 0xFF80},      {of(0x007FFFFF), 0},      {of(0x807FFFFF), 0x8000},
      {of(0x00800000), 0x0080}, {-0.0F, 0x8000},
  };
  std::vector<float> x;
  for (const auto& [value, bits] : cases) x.push_back(value);
  x.push_back(of(0x7F800001));  // rounded as a number, a NaN would become infinity
  while (x.size() < 35) x.push_back(1.5F);
  const std::vector<uint32_t> rounded = Round(*kernels_, x, 35);
  ASSERT_EQ(rounded.size(), 32U);
  const auto at = [&](size_t i) { return rounded[i / 2] >> (i % 2 * 16) & 0xFFFF; };
  for (size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(at(i), cases[i].second) << i;
  EXPECT_TRUE(std::isnan(FromBFloat16(at(cases.size()))));
  for (size_t i = cases.size() + 1; i < 64; ++i) EXPECT_EQ(at(i), i < 35 ? 0x3FC0U : 0U) << i;
}

INSTANTIATE_TEST_SUITE_P(
    On, BFloat16Products,
    testing::Values(Which{"EmulatedAvx512BFloat16", Isa::kAvx512BFloat16, &kEmulatedAvx512BFloat16},
                    Which{"EmulatedAmxBFloat16", Isa::kAmxBFloat16, &kEmulatedAmxBFloat16},
                    Which{"Avx512BFloat16", Isa::kAvx512BFloat16, nullptr},
                    Which{"AmxBFloat16", Isa::kAmxBFloat16, nullptr}),
    [](const auto& test) { return std::string(test.param.name); });

// Blocks, tiles and remainders change no bit of what the instructions make of one output.
TEST(EmulatedBFloat16Products, AreSummedAsTheManualSays) {
  RandomStream random({.seed = 2});
  for (const Shape& shape : Shapes()) {
    const Problem problem(random, shape);
    const std::vector<float> pairs =
        Multiply(kEmulatedAvx512BFloat16, problem.x, problem.matrix, problem.bias);
    const std::vector<float> tiles =
        Multiply(kEmulatedAmxBFloat16, problem.x, problem.matrix, problem.bias);
    for (int64_t r = 0; r < shape.rows; ++r) {
      const std::vector<float> x = problem.RowOf(problem.x, r);
      for (int64_t o = 0; o < shape.out; ++o) {
        const std::vector<float> weight = problem.RowOf(problem.weight, o);
        const auto i = static_cast<size_t>(r * shape.out + o);
        const float bias = problem.bias[static_cast<size_t>(o)];
        ASSERT_EQ(pairs[i], SumOfPairs(x, weight, bias)) << shape.rows << ", " << shape.in;
        ASSERT_EQ(tiles[i], SumOfTiles(x, weight, bias)) << shape.rows << ", " << shape.in;
      }
    }
  }
}

}  // namespace
}  // namespace attnrl::kernels
