// SPDX-License-Identifier: Apache-2.0
// Values and gradients against autograd over the formula in float64.
#include "common/attention/cpu_flash.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/attention/testing/one_thread.h"
#include "common/attention/testing/random_forest.h"
#include "common/attention/testing/reference.h"

namespace attnrl::attention {
namespace {

using Tensors = std::vector<at::Tensor>;

Inputs Leaves(const Inputs& inputs, at::ScalarType dtype) {
  const auto leaf = [&](const at::Tensor& x) {
    return x.to(dtype).clone().set_requires_grad(true);
  };
  return {leaf(inputs.q), leaf(inputs.k), leaf(inputs.v)};
}

// The result and the gradients of q, k and v, where every number of the result counts with a weight
// of its own.
Tensors Differentiate(const Inputs& leaves, const at::Tensor& result) {
  const at::Tensor weights = at::cos(at::arange(result.numel()).to(at::kDouble)).to(at::kBFloat16);
  (result.flatten() * weights.to(result.scalar_type())).sum().backward();
  return {result.detach(), leaves.q.grad(), leaves.k.grad(), leaves.v.grad()};
}

Tensors RunOwn(const Inputs& inputs, at::ScalarType dtype, const at::Tensor& last) {
  const Inputs leaves = Leaves(inputs, dtype);
  return Differentiate(leaves, ForestFlash(leaves.q, leaves.k, leaves.v, last));
}

Tensors RunFormula(const Inputs& inputs, const at::Tensor& last) {
  const at::Tensor row = at::arange(last.numel()).unsqueeze(1), key = row.t();
  const at::Tensor hidden = key.gt(row).logical_or(row.ge(last.unsqueeze(0)));
  const Inputs leaves = Leaves(inputs, at::kDouble);
  return Differentiate(leaves, AttendByFormula(leaves, hidden));
}

void ExpectNear(const Tensors& found, const Tensors& expected, double tolerance) {
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].sizes(), expected[i].sizes()) << i;
    const double error = (found[i].to(at::kDouble) - expected[i]).norm().item<double>();
    // The softmax of a lone key has a gradient of zero.
    EXPECT_LE(error, tolerance * (1 + expected[i].norm().item<double>())) << i;
  }
}

at::Tensor RandomLast(RandomStream& random, int32_t rows) {
  return at::tensor(RandomForest(random, rows), at::TensorOptions(at::kInt));
}

TEST(ForestFlash, IsTheFormulaOverForestsOfAnyShape) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    RandomStream random({.seed = seed});
    const auto rows = 1 + static_cast<int32_t>(random.Below(seed % 4 == 0 ? 20 : 300));
    const at::Tensor last = RandomLast(random, rows);
    const Inputs inputs = RandomInputs(random, rows, {.query = 2, .kv = 1, .dim = 16});
    ExpectNear(RunOwn(inputs, at::kFloat, last), RunFormula(inputs, last), 1e-6);
  }
}

TEST(ForestFlash, IsTheFormulaForHeadsOfAnySizeAndNumber) {
  RandomStream random({.seed = 41});
  const at::Tensor last = RandomLast(random, 150);
  for (const Heads& heads :
       {Heads{1, 1, 64}, Heads{3, 3, 48}, Heads{6, 2, 128}, Heads{2, 1, 256}}) {
    const Inputs inputs = RandomInputs(random, 150, heads);
    ExpectNear(RunOwn(inputs, at::kFloat, last), RunFormula(inputs, last), 1e-6);
  }
}

TEST(ForestFlash, ComputesBFloat16InFloat32) {
  RandomStream random({.seed = 42});
  const at::Tensor last = RandomLast(random, 200);
  const Inputs inputs = RandomInputs(random, 200).To(at::kBFloat16);
  const Tensors found = RunOwn(inputs, at::kBFloat16, last);
  for (const at::Tensor& tensor : found) EXPECT_EQ(tensor.scalar_type(), at::kBFloat16);
  // Rounded, and the gradient of a product with the rounded result.
  ExpectNear(found, RunFormula(inputs, last), 0.01);
}

TEST(ForestFlash, HoldsForScoresThatDifferByHundreds) {
  RandomStream random({.seed = 43});
  const at::Tensor last = RandomLast(random, 150);
  Inputs inputs = RandomInputs(random, 150);
  inputs.q.mul_(100);
  const Tensors found = RunOwn(inputs, at::kFloat, last);
  ExpectNear({found[0]}, {RunFormula(inputs, last)[0]}, 1e-4);
  for (const at::Tensor& tensor : found) EXPECT_TRUE(at::isfinite(tensor).all().item<bool>());
}

// What is not finite must stay visible, or a step that is to be skipped would be taken.
TEST(ForestFlash, ShowsWhatIsNotFinite) {
  RandomStream random({.seed = 9});
  const int32_t rows = 40;
  const at::Tensor last = at::full({rows}, rows, at::kInt);
  for (const float broken : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const int part : {0, 1, 2}) {
      const Inputs inputs = RandomInputs(random, rows, {.query = 1, .kv = 1, .dim = 16});
      (part == 0 ? inputs.q : part == 1 ? inputs.k : inputs.v)[3][0][5] = broken;
      const Tensors found = RunOwn(inputs, at::kFloat, last);
      EXPECT_FALSE(found[0].isfinite().all().item<bool>()) << part << " " << broken;
      const at::Tensor of_q = found[1][3];
      EXPECT_FALSE(of_q.isfinite().all().item<bool>()) << part << " " << broken;
    }
  }
}

TEST(ForestFlash, OfNoRowsIsNothing) {
  const at::Tensor none = at::empty({0, 2, 16});
  EXPECT_EQ(ForestFlash(none, none, none, at::empty({0}, at::kInt)).sizes(), none.sizes());
}

TEST(ForestFlash, GivesTheSameBitsOnAnyNumberOfThreads) {
  RandomStream random({.seed = 44});
  const at::Tensor last = RandomLast(random, 700);
  const Inputs inputs = RandomInputs(random, 700, {.query = 4, .kv = 2, .dim = 64});
  const Tensors one = RunOwn(inputs, at::kFloat, last);
  at::set_num_threads(3);
  const Tensors three = RunOwn(inputs, at::kFloat, last);
  at::set_num_threads(1);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << i;
}

TEST(ForestFlash, TakesHeadsThatLieBetweenOthers) {
  RandomStream random({.seed = 45});
  const at::Tensor last = RandomLast(random, 90);
  const at::Tensor whole = RandomTensor(random, {90, 8, 16});
  const Inputs views = {whole.narrow(1, 0, 4), whole.narrow(1, 4, 2), whole.narrow(1, 6, 2)};
  const at::Tensor found = ForestFlash(views.q, views.k, views.v, last);
  EXPECT_TRUE(at::equal(
      found, ForestFlash(views.q.contiguous(), views.k.contiguous(), views.v.contiguous(), last)));
  const at::Tensor turned = views.q.transpose(1, 2).contiguous().transpose(1, 2);
  EXPECT_TRUE(at::equal(found, ForestFlash(turned, views.k, views.v, last)));
}

}  // namespace
}  // namespace attnrl::attention
