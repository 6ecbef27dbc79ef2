// SPDX-License-Identifier: Apache-2.0
#include "common/model/gpu_operators.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "common/attention/testing/reference.h"
#include "common/kernels/cuda/testing/emulator.h"
#include "common/model/gpu/testing/emulated_kernels.h"

namespace attnrl::model {
namespace {

using attention::RandomTensor;
using attention::Worst;

// What a result may differ by from the standard operators', which round bfloat16 twice.
double Allowed(at::ScalarType dtype, double largest) {
  return dtype == at::kFloat ? 2e-6 * largest : largest * 0x1p-7;
}

TEST(GpuOperators, GiveTheNormsOfTheStandardOperators) {
  RandomStream random({.seed = 6});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const EmulatedRowKernels kernels;
    const int64_t launches = cuda::EmulatedLaunches();
    const GpuOperators operators(kernels);
    const at::Tensor x = RandomTensor(random, {5, 72}, 3).to(dtype);
    const at::Tensor weight = RandomTensor(random, {72}).to(dtype);
    const at::Tensor expected = Operators::Standard().RmsNorm(x, weight, 1e-6);
    EXPECT_LT(Worst(operators.RmsNorm(x, weight, 1e-6), expected), Allowed(dtype, 4));
    // Heads that lie among others, as queries in the result of one product.
    const at::Tensor heads = RandomTensor(random, {3, 4, 32}).to(dtype).narrow(1, 1, 2);
    const at::Tensor of_head = RandomTensor(random, {32}).to(dtype);
    const at::Tensor normed = operators.RmsNorm(heads, of_head, 1e-6);
    EXPECT_EQ(normed.sizes(), heads.sizes());
    EXPECT_LT(Worst(normed, Operators::Standard().RmsNorm(heads, of_head, 1e-6)),
              Allowed(dtype, 4));
    EXPECT_EQ(cuda::EmulatedLaunches() - launches, 2);
  }
}

TEST(GpuOperators, AddAndNormInOneLaunch) {
  RandomStream random({.seed = 9});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const EmulatedRowKernels kernels;
    const GpuOperators operators(kernels);
    const at::Tensor weight = RandomTensor(random, {72}).to(dtype);
    const at::Tensor added = RandomTensor(random, {5, 72}, 2).to(dtype);
    at::Tensor x = RandomTensor(random, {5, 72}, 3).to(dtype);
    at::Tensor sum = x.clone();
    const at::Tensor expected = Operators::Standard().AddAndNorm(&sum, added, weight, 1e-6);
    const int64_t launches = cuda::EmulatedLaunches();
    EXPECT_LT(Worst(operators.AddAndNorm(&x, added, weight, 1e-6), expected), Allowed(dtype, 4));
    EXPECT_TRUE(at::equal(x, sum));
    EXPECT_EQ(cuda::EmulatedLaunches() - launches, 1);
    // Nothing to add: the norm alone.
    operators.AddAndNorm(&x, {}, weight, 1e-6);
    EXPECT_TRUE(at::equal(x, sum));
  }
}

TEST(GpuOperators, GiveTheGatedSiluOfTheStandardOperators) {
  RandomStream random({.seed = 7});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const EmulatedRowKernels kernels;
    const int64_t launches = cuda::EmulatedLaunches();
    const GpuOperators operators(kernels);
    const auto both = RandomTensor(random, {4, 2 * 200}, 5).to(dtype).split(200, 1);
    const at::Tensor y = operators.GatedSilu(both[0], both[1]);
    EXPECT_LT(Worst(y, Operators::Standard().GatedSilu(both[0], both[1])), Allowed(dtype, 25));
    EXPECT_EQ(cuda::EmulatedLaunches() - launches, 1);
  }
}

TEST(GpuOperators, LeaveToTheStandardOperatorsWhatDoesNotFit) {
  RandomStream random({.seed = 8});
  const EmulatedRowKernels kernels;
  const int64_t launches = cuda::EmulatedLaunches();
  const GpuOperators operators(kernels);
  const at::Tensor odd = RandomTensor(random, {2, 7});
  const at::Tensor weight = RandomTensor(random, {7});
  EXPECT_TRUE(at::equal(operators.RmsNorm(odd, weight, 1e-6),
                        Operators::Standard().RmsNorm(odd, weight, 1e-6)));
  EXPECT_TRUE(at::equal(operators.GatedSilu(odd, odd), Operators::Standard().GatedSilu(odd, odd)));
  const at::Tensor wide = RandomTensor(random, {2, 8}).to(at::kDouble);
  EXPECT_TRUE(
      at::equal(operators.GatedSilu(wide, wide), Operators::Standard().GatedSilu(wide, wide)));
  EXPECT_EQ(cuda::EmulatedLaunches() - launches, 0);
}

}  // namespace
}  // namespace attnrl::model
