// SPDX-License-Identifier: Apache-2.0
#include "common/device/device.h"

#include <gmock/gmock.h>

#include <string>

#include "common/base/status.h"
#include "common/device/gpus.h"

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
    ExpectRefused(ParseDevice(name).status(), std::string("--device: no device \"") + name +
                                                  "\"; allowed are cpu, cuda or cuda:N");
  }
  if (CountGpus().ok()) GTEST_SKIP() << "this machine has a GPU";
  ExpectRefused(ParseDevice("cuda", "rollout.device").status(), "rollout.device: cuda: this");
  ExpectRefused(ParseDevice("cuda:1").status(), "allowed here is cpu");
}

TEST(Gpu, IsTheOneNamedOrElseTheOneOfTheLocalRankOrElseTheFirst) {
  EXPECT_EQ(*PickGpu(3, "1", 4, "--device"), 3);
  EXPECT_EQ(*PickGpu(-1, "1", 4, "--device"), 1);
  EXPECT_EQ(*PickGpu(-1, nullptr, 4, "--device"), 0);
}

TEST(Gpu, ThatTheMachineLacksIsRefusedWithThoseThatItHas) {
  ExpectRefused(PickGpu(4, nullptr, 4, "learner.device").status(),
                "learner.device: no device \"cuda:4\"; this machine has cuda:0 to cuda:3");
  for (const char* local : {"4", "-1", "x", ""}) {
    ExpectRefused(PickGpu(-1, local, 4, "learner.device").status(),
                  std::string("learner.device: cuda, and LOCAL_RANK is \"") + local + "\"");
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
  if (CountGpus().ok()) GTEST_SKIP() << "this machine has a GPU";
  const auto memory = MemoryOf(at::Device(at::kCUDA, 0));
  EXPECT_TRUE(absl::IsInternal(memory.status()));
  EXPECT_THAT(std::string(memory.status().message()), HasSubstr("cuda:0: its memory"));
}

}  // namespace
}  // namespace attnrl::device
