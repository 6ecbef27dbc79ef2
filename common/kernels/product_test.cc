// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/kernels/isa.h"
#include "common/kernels/kernels.h"
#include "common/kernels/packed_matrix.h"
#include "common/kernels/testing/reference.h"

namespace attnrl::kernels {
namespace {

std::string NameOf(Isa isa) { return std::string(WordOf(isa)); }

// Rows around every tile, outputs around the panels and groups of panels, odd inputs, and inputs
// around a block, over which the sums of a tile are put down and taken up again.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 17, 33}) {
    for (const int64_t out : {1, 15, 16, 17, 31, 32, 48, 63, 64, 65, 100}) {
      shapes.push_back({rows, 1 + (rows * 7 + out * 5) % 41, out});
    }
  }
  for (const int64_t rows : {1, 6, 7, 50, 100}) {
    for (const int64_t in : {767, 768, 769, 1537}) shapes.push_back({rows, in, 35});
  }
  return shapes;
}

PackedMatrix Pack(const std::vector<float>& weight, const Shape& shape, PackedMatrix::Type type) {
  PackedMatrix matrix(type, shape.out, shape.in);
  if (type == PackedMatrix::Type::kFloat32) {
    matrix.Fill(0, shape.out, weight.data());
  } else {
    matrix.Fill(0, shape.out, BFloat16Bits(weight).data());
  }
  return matrix;
}

std::vector<float> Multiply(const Kernels& kernels, const std::vector<float>& x,
                            const PackedMatrix& matrix, const std::vector<float>& bias) {
  const int64_t rows = static_cast<int64_t>(x.size()) / matrix.in();
  std::vector<float> y(static_cast<size_t>(rows * matrix.out()), -7.0F);
  kernels.multiply({.x = x.data(),
                    .x_stride = matrix.in(),
                    .rows = rows,
                    .matrix = matrix.view(),
                    .bias = bias.empty() ? nullptr : bias.data(),
                    .first_panel = 0,
                    .last_panel = matrix.panels(),
                    .y = y.data(),
                    .y_stride = matrix.out()});
  return y;
}

class Product : public testing::TestWithParam<Isa> {
 protected:
  const Kernels& kernels_ = *AllKernels()[static_cast<size_t>(GetParam())];
  RandomStream random_{{.seed = 1}};
};

// For rows, inputs and outputs of every remainder, and weights that bfloat16 can hold.
TEST_P(Product, IsOneChainOfMultiplyAddsFromTheBiasOverTheInputs) {
  for (const Shape& shape : Shapes()) {
    const std::vector<float> x = RandomFloats(random_, shape.rows * shape.in);
    const std::vector<float> weight =
        FromBits(BFloat16Bits(RandomFloats(random_, shape.out * shape.in)));
    for (const std::vector<float>& bias : {RandomFloats(random_, shape.out), {}}) {
      const std::vector<float> expected = ReferenceProduct<float>(x, shape.in, weight, bias);
      for (const auto type : {PackedMatrix::Type::kFloat32, PackedMatrix::Type::kBFloat16}) {
        ASSERT_EQ(Multiply(kernels_, x, Pack(weight, shape, type), bias), expected)
            << shape.rows << " x " << shape.in << " -> " << shape.out;
      }
    }
  }
}

TEST_P(Product, IsNearTheOneInFloat64) {
  const Shape shape = {.rows = 19, .in = 1001, .out = 37};
  const std::vector<float> x = RandomFloats(random_, shape.rows * shape.in);
  const std::vector<float> weight = RandomFloats(random_, shape.out * shape.in);
  const std::vector<float> bias = RandomFloats(random_, shape.out);
  const std::vector<float> y =
      Multiply(kernels_, x, Pack(weight, shape, PackedMatrix::Type::kFloat32), bias);
  const std::vector<double> expected = ReferenceProduct<double>(x, shape.in, weight, bias);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], 1e-4) << i;
}

TEST_P(Product, OfSomePanelsLeavesTheOthersAndWhatLiesBetweenRowsAlone) {
  const Shape shape = {.rows = 9, .in = 5, .out = 90};
  constexpr int64_t kXStride = 8;
  constexpr int64_t kYStride = 95;
  const std::vector<float> x = RandomFloats(random_, shape.rows * kXStride);
  const std::vector<float> weight = RandomFloats(random_, shape.out * shape.in);
  const PackedMatrix matrix = Pack(weight, shape, PackedMatrix::Type::kFloat32);
  std::vector<float> dense;
  for (int64_t r = 0; r < shape.rows; ++r) {
    dense.insert(dense.end(), x.begin() + r * kXStride, x.begin() + r * kXStride + shape.in);
  }
  const std::vector<float> whole = Multiply(kernels_, dense, matrix, {});
  for (const auto& [first, last] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 6}, {1, 4}, {5, 6}, {2, 2}}) {
    std::vector<float> y(static_cast<size_t>(shape.rows * kYStride), -7.0F);
    kernels_.multiply({.x = x.data(),
                       .x_stride = kXStride,
                       .rows = shape.rows,
                       .matrix = matrix.view(),
                       .first_panel = first,
                       .last_panel = last,
                       .y = y.data(),
                       .y_stride = kYStride});
    for (int64_t r = 0; r < shape.rows; ++r) {
      for (int64_t o = 0; o < kYStride; ++o) {
        const bool computed = o >= first * 16 && o < std::min(last * 16, shape.out);
        ASSERT_EQ(y[static_cast<size_t>(r * kYStride + o)],
                  computed ? whole[static_cast<size_t>(r * shape.out + o)] : -7.0F)
            << first << " to " << last << ", row " << r << ", output " << o;
      }
    }
  }
}

TEST_P(Product, OfNoRowsIsNothing) {
  const PackedMatrix matrix(PackedMatrix::Type::kFloat32, 20, 3);
  EXPECT_TRUE(Multiply(kernels_, {}, matrix, {}).empty());
}

// Infinities and NaNs of other inputs must not leak through the zeros that fill a panel up.
TEST_P(Product, KeepsInfinitiesToTheirOwnRows) {
  const Shape shape = {.rows = 2, .in = 3, .out = 17};
  const std::vector<float> weight(static_cast<size_t>(shape.out * shape.in), 1.0F);
  const std::vector<float> x = {1, 2, INFINITY, 1, 2, 3};
  for (const auto type : {PackedMatrix::Type::kFloat32, PackedMatrix::Type::kBFloat16}) {
    const std::vector<float> y = Multiply(kernels_, x, Pack(weight, shape, type), {});
    for (size_t o = 0; o < 17; ++o) {
      EXPECT_EQ(y[o], INFINITY);
      EXPECT_EQ(y[17 + o], 6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OnIsa, Product, testing::ValuesIn([] {
                           std::vector<Isa> all;
                           for (size_t isa = 0; isa < AllKernels().size(); ++isa) {
                             all.push_back(static_cast<Isa>(isa));
                           }
                           return all;
                         }()),
                         [](const auto& test) { return NameOf(test.param); });

TEST(PackedMatrix, HoldsSixteenOutputsSideBySideAndZerosWhereThereIsNone) {
  const Shape shape = {.rows = 0, .in = 3, .out = 18};
  std::vector<float> weight;
  for (int i = 1; i <= 54; ++i) weight.push_back(static_cast<float>(i));
  const auto expected = [&](size_t output, size_t input) {
    return output < 18 && input < 3 ? weight[output * 3 + input] : 0.0F;
  };
  const PackedMatrix wide = Pack(weight, shape, PackedMatrix::Type::kFloat32);
  EXPECT_EQ(wide.bytes(), 32 * 3 * 4);
  for (size_t i = 0; i < 96; ++i) {
    EXPECT_EQ(wide.view().float32[i], expected(i / 48 * 16 + i % 16, i / 16 % 3)) << i;
  }
  // Two inputs a word, filled up to 32 inputs.
  const PackedMatrix narrow = Pack(weight, shape, PackedMatrix::Type::kBFloat16);
  EXPECT_EQ(narrow.bytes(), 32 * 16 * 4);
  for (size_t i = 0; i < 512; ++i) {
    const uint32_t word = narrow.view().bfloat16_pairs[i];
    const std::vector<float> two =
        FromBits({static_cast<uint16_t>(word & 0xFFFF), static_cast<uint16_t>(word >> 16)});
    const size_t output = i / 256 * 16 + i % 16;
    EXPECT_EQ(two[0], expected(output, i / 16 % 16 * 2)) << i;
    EXPECT_EQ(two[1], expected(output, i / 16 % 16 * 2 + 1)) << i;
  }
}

TEST(PackedMatrix, TakesTheOutputsOfSeveralWeights) {
  RandomStream random({.seed = 2});
  const std::vector<float> weight = RandomFloats(random, 40 * 6);
  PackedMatrix parts(PackedMatrix::Type::kFloat32, 40, 6);
  parts.Fill(0, 13, weight.data());
  parts.Fill(13, 27, weight.data() + 13 * 6);
  const PackedMatrix whole = Pack(weight, {0, 6, 40}, PackedMatrix::Type::kFloat32);
  for (int64_t i = 0; i < whole.bytes() / 4; ++i) {
    EXPECT_EQ(parts.view().float32[i], whole.view().float32[i]) << i;
  }
}

}  // namespace
}  // namespace attnrl::kernels
