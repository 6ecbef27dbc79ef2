// SPDX-License-Identifier: Apache-2.0
#include "common/device/device.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>

#include <string>

#include "common/base/status.h"

namespace attnrl::device {
namespace {

using testing::HasSubstr;

void ExpectRefused(const absl::Status& status, const std::string& part) {
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(Device, ThatIsNotThereIsRefusedInOneLine) {
  EXPECT_EQ(*ParseDevice("cpu"), at::Device(at::kCPU));
  for (const char* name : {"tpu", "cuda:", "cuda:x", "cuda:-1", "cuda0", ""}) {
    ExpectRefused(ParseDevice(name).status(),
                  std::string("--device: no device \"") + name + "\"; allowed are cpu and cuda");
  }
  if (!at::globalContext().hasCUDA()) {
    ExpectRefused(ParseDevice("cuda", "rollout.device").status(), "rollout.device: cuda: this");
    ExpectRefused(ParseDevice("cuda:1").status(), "allowed here is cpu");
  }
}

TEST(Device, TheHostsMemoryIsWhatThisProcessMayUse) {
  const auto memory = MemoryOf(at::Device(at::kCPU));
  ASSERT_TRUE(memory.ok());
  EXPECT_GT(memory->total, 0);
  EXPECT_GT(memory->free, 0);
  EXPECT_LE(memory->free, memory->total);
}

TEST(Device, TheMemoryOfADeviceThatIsNotThereIsAnError) {
  if (at::globalContext().hasCUDA()) GTEST_SKIP() << "there is one";
  const auto memory = MemoryOf(at::Device(at::kCUDA, 0));
  EXPECT_TRUE(absl::IsInternal(memory.status()));
  EXPECT_THAT(std::string(memory.status().message()), HasSubstr("cuda:0: its memory"));
}

}  // namespace
}  // namespace attnrl::device
