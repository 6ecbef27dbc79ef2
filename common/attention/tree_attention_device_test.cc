// SPDX-License-Identifier: Apache-2.0
// Attention over trees by the kernels that GPUs have, on a device whose memory the host can't
// touch.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "common/attention/flash_part.h"
#include "common/attention/tree_attention.h"
#include "common/device/testing/fake_device.h"

namespace attnrl::attention {
namespace {

// Two trees: a stem with two branches, one of which forks again, and a sequence alone.
const std::vector<TreeSegment> kSegments = {{0, 20, 60},  {20, 30, 50}, {30, 42, 42},
                                            {42, 50, 50}, {50, 60, 60}, {60, 73, 73}};

struct Result {
  at::Tensor result, q, k, v;
};

Result Attend(at::Device device, at::ScalarType dtype) {
  const auto leaf = [&](int64_t heads, double step) {
    const at::Tensor x = (at::arange(73 * heads * 8, at::kDouble) * step).sin();
    return x.view({73, heads, 8}).to(dtype).to(device).set_requires_grad(true);
  };
  const at::Tensor q = leaf(4, 0.7), k = leaf(2, 1.3), v = leaf(2, 2.1);
  TreeAttention attention(kSegments);
  const at::Tensor result = attention.Forward(0, q, k, v);
  const at::Tensor weights = at::arange(result.numel(), at::kDouble).cos().to(dtype).to(device);
  (result.flatten() * weights).sum().backward();
  return {result.detach().cpu(), q.grad().cpu(), k.grad().cpu(), v.grad().cpu()};
}

void ExpectNear(const Result& found, const Result& expected, double tolerance) {
  EXPECT_TRUE(found.result.allclose(expected.result, tolerance, tolerance));
  EXPECT_TRUE(found.q.allclose(expected.q, tolerance, tolerance));
  EXPECT_TRUE(found.k.allclose(expected.k, tolerance, tolerance));
  EXPECT_TRUE(found.v.allclose(expected.v, tolerance, tolerance));
}

TEST(TreeAttentionOnADevice, IsThatOfTheCpuByTheKernelsOfGpus) {
  const at::Device fake = device::FakeDevice();  // before anything is differentiated
  ExpectNear(Attend(fake, at::kFloat), Attend(at::kCPU, at::kFloat), 1e-5);
}

TEST(TreeAttentionOnADevice, HasKernelsForSixteenBitsAndCertainHeads) {
  EXPECT_TRUE(HasFlash(device::FakeDevice(), at::kBFloat16, 128));
  EXPECT_FALSE(HasFlash(device::FakeDevice(), at::kFloat, 128));
  EXPECT_FALSE(HasFlash(device::FakeDevice(), at::kBFloat16, 100));
  EXPECT_FALSE(HasFlash(device::FakeDevice(), at::kBFloat16, 264));
  EXPECT_TRUE(HasFlash(at::kCPU, at::kFloat, 100));
}

}  // namespace
}  // namespace attnrl::attention
