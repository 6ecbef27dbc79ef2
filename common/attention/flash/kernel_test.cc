// SPDX-License-Identifier: Apache-2.0
#include "common/attention/flash/kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/attention/testing/random_forest.h"
#include "common/base/philox.h"

namespace attnrl::attention {
namespace {

using Numbers = std::vector<float>;

struct Results {
  Numbers result, largest, sum, q, k, v;
  bool operator==(const Results&) const = default;
};

// One head of a forest, there and back.
Results RunKernel(const FlashKernel& kernel, const std::vector<int32_t>& last, int64_t dim) {
  RandomStream random({.seed = 5});
  const auto rows = static_cast<int64_t>(last.size());
  const auto size = static_cast<size_t>(rows * dim);
  const auto draw = [&] {
    Numbers numbers(size);
    for (float& number : numbers) number = static_cast<float>(4 * random.Uniform() - 2);
    return numbers;
  };
  const Numbers q = draw(), k = draw(), v = draw(), gradient = draw();
  Results found = {Numbers(size), Numbers(last.size()), Numbers(last.size()),
                   Numbers(size), Numbers(size),        Numbers(size)};
  const auto in = [&](const Numbers& x) { return FlashRows{x.data(), dim}; };
  const auto out = [&](Numbers& x) { return FlashTarget{x.data(), dim}; };
  const FlashHead head = {in(q), in(k), in(v), last.data(), dim, 0.3F};
  for (int64_t root = 0, end = 0; root < rows; root = end) {
    end = last[static_cast<size_t>(root)];
    for (int64_t first = root; first < end; first += FlashKernel::kBlock) {
      kernel.forward(head, root, first, std::min(end, first + FlashKernel::kBlock),
                     out(found.result), found.largest.data() + first, found.sum.data() + first);
    }
  }
  Numbers lse;
  for (size_t row = 0; row < last.size(); ++row) {
    lse.push_back(found.largest[row] + std::log(found.sum[row]));
  }
  for (int64_t root = 0; root < rows; root = last[static_cast<size_t>(root)]) {
    kernel.backward(head, root, last[static_cast<size_t>(root)],
                    {in(gradient), in(found.result), lse.data()},
                    {out(found.q), out(found.k), out(found.v)});
  }
  return found;
}

TEST(FlashKernel, EveryInstructionSetGivesTheSameBits) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    RandomStream random({.seed = seed});
    const std::vector<int32_t> last =
        RandomForest(random, 1 + static_cast<int32_t>(random.Below(300)));
    const int64_t dim = seed % 2 == 0 ? 16 : 64;
    const Results expected = RunKernel(*AllFlashKernels().front(), last, dim);
    for (const FlashKernel* kernel : AllFlashKernels()) {
      EXPECT_EQ(RunKernel(*kernel, last, dim), expected) << kernel->isa << ", seed " << seed;
    }
  }
}

}  // namespace
}  // namespace attnrl::attention
