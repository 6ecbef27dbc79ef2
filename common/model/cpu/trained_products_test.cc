// SPDX-License-Identifier: Apache-2.0
#include "common/model/cpu/trained_products.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <vector>

namespace attnrl::model {
namespace {

struct Shape {
  int64_t rows, in, out;
};

// Around panels and tiles, one of everything, and many rows.
const std::vector<Shape> kShapes = {{1, 1, 1},   {1, 17, 16},  {7, 5, 33},     {48, 64, 96},
                                    {5, 40, 15}, {100, 16, 1}, {3073, 19, 50}, {1537, 33, 97}};

struct Problem {
  at::Tensor x, weight, bias, gradient;
};

Problem ProblemOf(const Shape& shape) {
  at::manual_seed(shape.rows + 7 * shape.in + 11 * shape.out);
  return {at::randn({shape.rows, shape.in}), at::randn({shape.out, shape.in}),
          at::randn({shape.out}), at::randn({shape.rows, shape.out})};
}

void ExpectNear(const at::Tensor& found, const at::Tensor& expected) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  const double error = (found.to(at::kDouble) - expected).norm().item<double>();
  EXPECT_LE(error, 1e-6 * expected.norm().item<double>()) << found.sizes();
}

at::Tensor Wide(const at::Tensor& x) { return x.to(at::kDouble); }

TEST(TrainedProducts, AreThoseInFloat64) {
  for (const Shape& shape : kShapes) {
    const Problem p = ProblemOf(shape);
    const at::Tensor product = Wide(p.x).mm(Wide(p.weight).t());
    ExpectNear(MultiplyForward(p.x, p.weight, p.bias), product + Wide(p.bias));
    ExpectNear(MultiplyForward(p.x, p.weight, {}), product);
    ExpectNear(MultiplyBack(p.gradient, p.weight), Wide(p.gradient).mm(Wide(p.weight)));
  }
}

TEST(TrainedProducts, TakeMatricesThatAreViewsOfOthers) {
  const Problem p = ProblemOf({50, 40, 60});
  const at::Tensor x = p.x.narrow(1, 3, 20);
  const at::Tensor turned = p.gradient.t().contiguous().t();  // columns are dense
  const at::Tensor weight = p.weight.narrow(1, 5, 20);
  ExpectNear(MultiplyForward(x, weight, {}), Wide(x).mm(Wide(weight).t()));
  ExpectNear(MultiplyBack(turned, weight), Wide(turned).mm(Wide(weight)));
}

TEST(TrainedProducts, HaveTheSameBitsOnAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  std::vector<std::vector<at::Tensor>> results;
  for (const int count : {1, 2, 5}) {
    at::set_num_threads(count);
    std::vector<at::Tensor>& result = results.emplace_back();
    for (const Shape& shape : kShapes) {
      const Problem p = ProblemOf(shape);
      result.push_back(MultiplyForward(p.x, p.weight, p.bias));
      result.push_back(MultiplyBack(p.gradient, p.weight));
    }
  }
  at::set_num_threads(threads);
  for (size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
    EXPECT_TRUE(at::equal(results[0][i], results[2][i])) << i;
  }
}

TEST(TrainedProducts, OfNoRowsAreNothing) {
  const Problem p = ProblemOf({0, 5, 7});
  EXPECT_EQ(MultiplyForward(p.x, p.weight, p.bias).sizes(), at::IntArrayRef({0, 7}));
  EXPECT_EQ(MultiplyBack(p.gradient, p.weight).sizes(), at::IntArrayRef({0, 5}));
}

}  // namespace
}  // namespace attnrl::model
