// SPDX-License-Identifier: Apache-2.0
// Values and gradients against autograd over the formulas in float64.
#include "common/model/cpu/trained_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace attnrl::model {
namespace {

using Tensors = std::vector<at::Tensor>;
using Operation = std::function<Tensors(const Tensors&)>;

// The results of an operation and the gradients of its inputs, where every number of every result
// counts with a weight of its own.
Tensors Evaluate(const Operation& operation, const Tensors& values, at::ScalarType dtype) {
  Tensors inputs;
  for (const at::Tensor& value : values) {
    inputs.push_back(value.detach().to(dtype).clone().set_requires_grad(true));
  }
  Tensors found = operation(inputs);
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (const at::Tensor& result : found) {
    EXPECT_EQ(result.scalar_type(), dtype);
    const at::Tensor weights = at::arange(result.numel()).to(at::kDouble).add(1).sin();
    // As many digits as the results have, so that the loss is the same in each dtype.
    loss = loss + (result.to(at::kDouble).flatten() * weights.to(at::kBFloat16)).sum();
  }
  loss.backward();
  for (at::Tensor& result : found) result = result.detach();
  for (const at::Tensor& input : inputs) found.push_back(input.grad());
  return found;
}

void ExpectNear(const Tensors& found, const Tensors& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].sizes(), expected[i].sizes()) << i;
    const double error = (found[i].to(at::kDouble) - expected[i]).norm().item<double>();
    EXPECT_LE(error, tolerance * expected[i].norm().item<double>()) << i;
  }
}

// `own` against `formula` in float32 and bfloat16, and on several threads.
void ExpectSame(const Operation& own, const Operation& formula, const Tensors& values) {
  Tensors rounded;
  for (const at::Tensor& value : values) rounded.push_back(value.to(at::kBFloat16));
  const Tensors expected = Evaluate(formula, rounded, at::kDouble);
  ExpectNear(Evaluate(own, rounded, at::kFloat), expected, 1e-6);
  ExpectNear(Evaluate(own, rounded, at::kBFloat16), expected, 0.01);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Tensors one = Evaluate(own, values, at::kFloat);
  at::set_num_threads(3);
  const Tensors three = Evaluate(own, values, at::kFloat);
  at::set_num_threads(threads);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << i;
}

at::Tensor Norm(const at::Tensor& x, const at::Tensor& weight) {
  return weight * x * (x.square().mean(-1, true) + 1e-5).rsqrt();
}

// One row, odd sizes, and enough rows for several blocks and threads.
const std::vector<std::pair<int64_t, int64_t>> kSizes = {
    {1, 3}, {1, 16}, {3, 37}, {130, 64}, {2000, 48}};

class TrainedRows : public testing::Test {
 protected:
  TrainedRows() { at::manual_seed(1); }
};

TEST_F(TrainedRows, OfANormAreThoseOfItsFormula) {
  for (const auto& [rows, n] : kSizes) {
    ExpectSame([](const Tensors& t) { return Tensors{TrainedRmsNorm(t[0], t[1], 1e-5)}; },
               [](const Tensors& t) { return Tensors{Norm(t[0], t[1])}; },
               {at::randn({rows, n}), at::randn({n})});
  }
}

TEST_F(TrainedRows, OfANormOfEachHeadAreThoseOfItsFormula) {
  ExpectSame([](const Tensors& t) { return Tensors{TrainedRmsNorm(t[0], t[1], 1e-5)}; },
             [](const Tensors& t) { return Tensors{Norm(t[0], t[1])}; },
             {at::randn({70, 3, 20}), at::randn({20})});
}

TEST_F(TrainedRows, OfASumAndItsNormAreThoseOfTheirFormula) {
  for (const auto& [rows, n] : kSizes) {
    ExpectSame(
        [](const Tensors& t) {
          const auto [sum, normed] = TrainedAddAndNorm(t[0], t[1], t[2], 1e-5);
          return Tensors{sum, normed};
        },
        [](const Tensors& t) {
          return Tensors{t[0] + t[1], Norm(t[0] + t[1], t[2])};
        },
        {at::randn({rows, n}), at::randn({rows, n}), at::randn({n})});
  }
}

TEST_F(TrainedRows, OfGatedSiluAreThoseOfItsFormula) {
  for (const auto& [rows, n] : kSizes) {
    ExpectSame([](const Tensors& t) { return Tensors{TrainedGatedSilu(t[0], t[1])}; },
               [](const Tensors& t) { return Tensors{t[0] * t[0].sigmoid() * t[1]}; },
               {3 * at::randn({rows, n}), at::randn({rows, n})});
  }
}

TEST_F(TrainedRows, OfGatedSiluAreFiniteWhereTheGateIsFarAway) {
  const Tensors found = Evaluate(
      [](const Tensors& t) { return Tensors{TrainedGatedSilu(t[0], t[1])}; },
      {at::tensor({-1e4F, -90.0F, 90.0F, 1e4F}).view({1, 4}), at::ones({1, 4})}, at::kFloat);
  for (const at::Tensor& tensor : found) EXPECT_TRUE(at::isfinite(tensor).all().item<bool>());
}

TEST_F(TrainedRows, OfARotationAreThoseOfItsFormula) {
  for (const auto& [rows, heads, n] :
       std::vector<std::tuple<int64_t, int64_t, int64_t>>{{1, 1, 2}, {5, 3, 38}, {700, 4, 64}}) {
    const at::Tensor angles = at::randn({rows, 1, n / 2});
    const at::Tensor cosine = at::cat({angles.cos(), angles.cos()}, -1);
    const at::Tensor sine = at::cat({-angles.sin(), angles.sin()}, -1);
    const int64_t half = n / 2;
    ExpectSame([&](const Tensors& t) { return Tensors{TrainedRotate(t[0], cosine, sine)}; },
               [&, half = half](const Tensors& t) {
                 return Tensors{t[0] * cosine + t[0].roll(half, -1) * sine};
               },
               {at::randn({rows, heads, n})});
  }
}

TEST_F(TrainedRows, TakeTensorsThatAreViewsOfOthers) {
  const at::Tensor gate_up = at::randn({9, 40});
  const at::Tensor found = TrainedGatedSilu(gate_up.narrow(1, 0, 20), gate_up.narrow(1, 20, 20));
  const at::Tensor expected = TrainedGatedSilu(gate_up.narrow(1, 0, 20).contiguous(),
                                               gate_up.narrow(1, 20, 20).contiguous());
  EXPECT_TRUE(at::equal(found, expected));
  // Heads of a row that lie between those of others, as keys do beside queries.
  const at::Tensor heads = at::randn({9, 5, 6}).narrow(1, 2, 2);
  const at::Tensor cosine = at::randn({9, 1, 6}), sine = at::randn({9, 1, 6});
  EXPECT_TRUE(at::equal(TrainedRotate(heads, cosine, sine),
                        TrainedRotate(heads.contiguous(), cosine, sine)));
}

}  // namespace
}  // namespace attnrl::model
