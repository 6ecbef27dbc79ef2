// SPDX-License-Identifier: Apache-2.0
#include "common/device/side_stream.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "common/device/testing/fake_device.h"

namespace attnrl::device {
namespace {

TEST(SideStream, BringsTensorsInPiecesWithoutWaitingForEach) {
  SideStream side(FakeDevice(), /*buffer_bytes=*/1000);
  const at::Tensor x = at::arange(700, at::kFloat).view({7, 100});
  const at::Tensor y = at::arange(3, at::kLong);
  at::Tensor x_there, y_there;
  const TrafficMeter meter;
  side.Run([&] {
    x_there = side.Bring(x);
    y_there = side.Bring(y);
  });
  EXPECT_EQ(meter.Read().copies_to_device, 4);
  EXPECT_EQ(meter.Read().bytes_to_device, 2800 + 24);
  EXPECT_EQ(meter.Read().blocking_copies_to_device, 0);
  EXPECT_EQ(meter.Read().pageable_copies, 0);
  EXPECT_EQ(meter.Read().side_copies, 4);
  EXPECT_EQ(x_there.device(), FakeDevice());
  EXPECT_TRUE(at::equal(x_there.cpu(), x));
  EXPECT_TRUE(at::equal(y_there.cpu(), y));
  EXPECT_EQ(meter.Read().side_copies, 4) << "what comes after is where it was";
}

TEST(SideStream, LeavesTheHostsTensorsToTheCpu) {
  SideStream side{at::Device(at::kCPU)};
  const at::Tensor x = at::ones({3});
  side.Run([&] { EXPECT_TRUE(side.Bring(x).is_same(x)); });
  EXPECT_THROW(side.Run([] { throw std::runtime_error("no memory"); }), std::runtime_error);
}

}  // namespace
}  // namespace attnrl::device
