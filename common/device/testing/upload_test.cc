// SPDX-License-Identifier: Apache-2.0
#include "common/device/upload.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "common/device/testing/fake_device.h"

namespace attnrl::device {
namespace {

TEST(Upload, BringsListsOfBothTypesInOneCopy) {
  Upload upload;
  const TrafficMeter meter;
  int64_t pageable = 0;
  for (int64_t round = 0; round < 2; ++round) {
    upload.Clear();
    const Upload::Part rows = upload.Add(3);
    const Upload::Part none = upload.Add(0);
    const Upload::Part shares = upload.Add(2);
    for (int64_t i = 0; i < 3; ++i) upload.At(rows)[i] = 10 * round + i;
    upload.Set(shares, 1, 0.25);
    const TrafficMeter sending;
    upload.Send(FakeDevice());
    pageable += sending.Read().pageable_copies;
    EXPECT_EQ(upload.Integers(rows).device(), FakeDevice());
    EXPECT_EQ(upload.Integers(none).size(0), 0);
    EXPECT_EQ(upload.Integers(rows).cpu()[2].item<int64_t>(), 10 * round + 2);
    EXPECT_EQ(upload.Doubles(shares).cpu()[0].item<double>(), 0);
    EXPECT_EQ(upload.Doubles(shares).cpu()[1].item<double>(), 0.25);
  }
  EXPECT_EQ(meter.Read().copies_to_device, 2);
  EXPECT_EQ(meter.Read().blocking_copies_to_device, 0);
  EXPECT_EQ(meter.Read().bytes_to_device, 2 * 5 * 8);
  EXPECT_EQ(pageable, 0);
}

TEST(Upload, StaysOnTheHostForTheCpu) {
  Upload upload;
  const Upload::Part part = upload.Add(2);
  upload.At(part)[1] = 7;
  upload.Send(at::Device(at::kCPU));
  const at::Tensor sent = upload.Integers(part);
  upload.Clear();
  upload.At(upload.Add(2))[1] = 8;
  EXPECT_EQ(sent[1].item<int64_t>(), 7) << "tensors of an earlier use stay as they are";
}

}  // namespace
}  // namespace attnrl::device
