// SPDX-License-Identifier: Apache-2.0
// The order of every sum as kernels.h writes it down, computed here in plain C++: the kernels have
// to give these bits on every machine.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "common/attention/fixed_order/kernels.h"
#include "common/base/philox.h"
#include "common/kernels/isa.h"

namespace attnrl::attention {
namespace {

std::vector<float> Random(RandomStream& random, int64_t count, double size = 2) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(size * (random.Uniform() - 0.5));
  return values;
}

class KernelOrder : public testing::TestWithParam<const FixedOrderKernels*> {};

// With queries of zeros every weight is the same and known without the exponential.
TEST_P(KernelOrder, OfAttentionIsOneChainOverTheKeys) {
  RandomStream random({.seed = 3});
  for (const int64_t head_dim : {2, 15, 16, 17, 32, 48, 64, 80, 112}) {
    for (const int64_t tokens : {1, 15, 16, 17, 63, 64, 65, 129}) {
      for (const int64_t heads : {2, 3}) {
        const std::vector<float> q(static_cast<size_t>(heads * head_dim), 0.0F);
        const std::vector<float> keys = Random(random, tokens * head_dim);
        const std::vector<float> values = Random(random, tokens * head_dim);
        std::vector<float> scratch(static_cast<size_t>(AttendScratch(heads, tokens)));
        std::vector<float> out(q.size());
        GetParam()->attend({.q = q.data(),
                            .keys = keys.data(),
                            .values = values.data(),
                            .tokens = tokens,
                            .heads = heads,
                            .kv_heads = 1,
                            .head_dim = head_dim,
                            .scratch = scratch.data(),
                            .out = out.data()});
        std::vector<float> expected;
        for (int64_t head = 0; head < heads; ++head) {
          for (int64_t i = 0; i < head_dim; ++i) {
            float sum = 0;
            for (int64_t t = 0; t < tokens; ++t) {
              sum = std::fma(1.0F / static_cast<float>(tokens),
                             values[static_cast<size_t>(t * head_dim + i)], sum);
            }
            expected.push_back(sum);
          }
        }
        ASSERT_EQ(out, expected) << tokens << " tokens, " << heads << " heads of " << head_dim;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, KernelOrder, testing::ValuesIn(AllFixedOrderKernels()),
                         [](const auto& test) { return std::string(test.param->isa); });

TEST(FixedOrderKernels, AreThoseOfTheInstructionSetThatIsUsed) {
  std::vector<std::string> names;
  for (const FixedOrderKernels* kernels : AllFixedOrderKernels()) names.emplace_back(kernels->isa);
  const std::vector<std::string> order = {"portable", "avx2", "avx512"};
  ASSERT_LE(names.size(), order.size());
  for (size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], order[i]);
  EXPECT_EQ(GetFixedOrderKernels().isa, WordOf(kernels::UsedIsa()));
}

}  // namespace
}  // namespace attnrl::attention
