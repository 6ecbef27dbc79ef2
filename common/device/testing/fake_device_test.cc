// SPDX-License-Identifier: Apache-2.0
#include "common/device/testing/fake_device.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include "common/device/device.h"
#include "common/device/testing/fake_memory.h"

namespace attnrl::device {
namespace {

using testing::HasSubstr;

at::TensorOptions OnDevice(at::ScalarType dtype = at::kFloat) {
  return at::TensorOptions(dtype).device(FakeDevice());
}

TEST(FakeDevice, ComputesWhatTheCpuDoes) {
  const at::Tensor x = at::arange(12, at::kFloat).view({3, 4});
  const at::Tensor y = x.to(FakeDevice());
  EXPECT_EQ(y.device(), FakeDevice());
  EXPECT_TRUE(at::equal((y.matmul(y.t()) + 1).cpu(), x.matmul(x.t()) + 1));
  EXPECT_TRUE(at::equal(y.narrow(1, 1, 2).mul_(2).cpu(), x.narrow(1, 1, 2) * 2));
  EXPECT_TRUE(at::equal(at::arange(5, OnDevice(at::kLong)).cpu(), at::arange(5, at::kLong)));
}

TEST(FakeDevice, AHostReadOfItsMemoryIsASegmentationFault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const at::Tensor x = at::zeros({4}, OnDevice());
  EXPECT_DEATH(
      {
        const volatile float* values = static_cast<const float*>(x.const_data_ptr());
        static_cast<void>(values[0]);
      },
      "");
}

TEST(FakeDevice, NewMemoryIsNaNAndFreedMemoryIsGone) {
  const int64_t before = FakeDeviceBytes();
  {
    const at::Tensor x = at::empty({100}, OnDevice());
    EXPECT_TRUE(x.isnan().all().item<bool>());
    EXPECT_TRUE(at::empty({3}, OnDevice(at::kBFloat16)).isnan().all().item<bool>());
    EXPECT_EQ(FakeDeviceBytes(), before + 400);
  }
  EXPECT_EQ(FakeDeviceBytes(), before);
}

TEST(FakeDevice, TensorsOfTheHostAmongItsOwnThrow) {
  const at::Tensor x = at::ones({4, 2}, OnDevice());
  const at::Tensor rows = at::zeros({2}, at::kLong);
  EXPECT_THROW(x.index_select(0, rows), c10::Error);
  EXPECT_THROW(x.index({rows}), c10::Error);
  EXPECT_THROW(at::cat({x, at::ones({4, 2})}), c10::Error);
  EXPECT_NO_THROW(x + at::scalar_tensor(1.0)) << "a number may come from the host";
}

TEST(FakeDevice, CountsWhatGoesEachWay) {
  const at::Tensor host = at::ones({10});
  const TrafficMeter meter;
  const at::Tensor x = host.to(FakeDevice());
  const at::Tensor y = (x * 2).softmax(0).to(at::kDouble).clone();
  static_cast<void>(y.cpu());
  static_cast<void>(y.sum().item<double>());
  static_cast<void>(x.nonzero());
  EXPECT_EQ(meter.Read(), (Traffic{.copies_to_device = 1,
                                   .bytes_to_device = 40,
                                   .blocking_copies_to_device = 1,
                                   .copies_to_host = 1,
                                   .bytes_to_host = 80,
                                   .pageable_copies = 2,
                                   .values_to_host = 2}));
}

TEST(FakeDevice, RepeatsWaitForTheirNumberUnlessItIsGiven) {
  const at::Tensor counts = at::tensor({2, 3}, at::kLong).to(FakeDevice());
  const TrafficMeter meter;
  EXPECT_EQ(at::repeat_interleave(counts, counts, 0, 5).size(0), 5);
  EXPECT_EQ(meter.Read().values_to_host, 0);
  EXPECT_EQ(at::repeat_interleave(counts, counts, 0).size(0), 5);
  EXPECT_EQ(meter.Read().values_to_host, 1);
}

TEST(FakeDevice, HasGradientsAndInferenceMode) {
  const at::Tensor w = at::full({3, 2}, 0.5, OnDevice()).requires_grad_();
  const at::Tensor x = at::ones({4, 3}, OnDevice());
  at::silu(x.matmul(w)).sum().backward();
  const at::Tensor v = at::full({3, 2}, 0.5).requires_grad_();
  at::silu(at::ones({4, 3}).matmul(v)).sum().backward();
  EXPECT_TRUE(at::allclose(w.grad().cpu(), v.grad()));
  const c10::InferenceMode inference;
  EXPECT_EQ(at::log_softmax(x, -1).to(at::kCPU).size(1), 3);
}

TEST(FakeDevice, SaysHowMuchMemoryItHasAndThrowsBeyond) {
  const at::Tensor x = at::empty({1000}, OnDevice());
  const auto memory = MemoryOf(FakeDevice());
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->total, kFakeDeviceMemory);
  EXPECT_EQ(memory->free, kFakeDeviceMemory - FakeDeviceBytes());
  EXPECT_THROW(at::empty({kFakeDeviceMemory / 4 + 1}, OnDevice()), c10::OutOfMemoryError);
}

}  // namespace
}  // namespace attnrl::device
