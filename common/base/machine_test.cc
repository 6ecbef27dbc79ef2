// SPDX-License-Identifier: Apache-2.0
#include "common/base/machine.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace attnrl {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

// A made-up machine of 16 GiB, 10 of them free.
class MachineTest : public ::testing::Test {
 protected:
  MachineTest() {
    std::filesystem::remove_all(root_);
    Write("/proc/meminfo",
          "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:   10485760 kB\n");
  }

  ~MachineTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  // Tests run side by side.
  const std::string root_ = testing::TempDir() + "/machine-" + std::to_string(getpid());
};

TEST_F(MachineTest, WithoutAContainerTheMachineIsTheLimit) {
  Write("/proc/self/cgroup", "0::/\n");
  EXPECT_EQ(MemoryLimit(root_), 16 * kGiB);
  EXPECT_EQ(AvailableMemory(root_), 10 * kGiB);
  EXPECT_GE(ProcessorLimit(root_), 1);
}

TEST_F(MachineTest, ReadsALimitOfVersionTwo) {
  Write("/proc/self/cgroup", "0::/pod/worker\n");
  Write("/sys/fs/cgroup/pod/worker/memory.max", "max\n");
  Write("/sys/fs/cgroup/pod/memory.max", "4294967296\n");
  Write("/sys/fs/cgroup/pod/memory.current", "2147483648\n");
  Write("/sys/fs/cgroup/pod/memory.stat", "anon 5\ninactive_file 1073741824\n");
  Write("/sys/fs/cgroup/pod/cpu.max", "100000 100000\n");
  EXPECT_EQ(MemoryLimit(root_), 4 * kGiB);
  EXPECT_EQ(AvailableMemory(root_), 3 * kGiB) << "what is only cached can be dropped";
  EXPECT_EQ(ProcessorLimit(root_), 1);
}

TEST_F(MachineTest, ReadsALimitOfVersionOne) {
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/pod\n4:memory:/pod\n");
  Write("/sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "3221225472\n");
  Write("/sys/fs/cgroup/memory/pod/memory.usage_in_bytes", "1073741824\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("/sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "150000\n");
  Write("/sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(MemoryLimit(root_), 3 * kGiB);
  EXPECT_EQ(AvailableMemory(root_), 2 * kGiB);
  EXPECT_EQ(ProcessorLimit(root_), 1);
}

TEST_F(MachineTest, AnUnlimitedQuotaIsNoLimit) {
  Write("/proc/self/cgroup", "0::/\n");
  const int all = ProcessorLimit(root_);
  Write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(ProcessorLimit(root_), all);
}

TEST(Machine, KnowsThisOne) {
  EXPECT_GT(MemoryLimit(), 0);
  EXPECT_GT(AvailableMemory(), 0);
  EXPECT_LE(AvailableMemory(), MemoryLimit());
}

// Pages that the kernel has given to this process.
int64_t PagesGiven() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return use.ru_minflt;
}

TEST(KeepFreedMemory, GivesMessagesThePagesOfTheLastOnes) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#endif
  constexpr size_t kBytes = 1 << 20;
  const auto use = [] {
    std::vector<std::unique_ptr<char[]>> messages;
    for (int i = 0; i < 8; ++i) {
      messages.push_back(std::make_unique_for_overwrite<char[]>(kBytes));
      for (size_t at = 0; at < kBytes; at += 4096) {
        const_cast<volatile char*>(messages.back().get())[at] = 1;
      }
    }
  };
  KeepFreedMemory();
  use();
  const int64_t before = PagesGiven();
  for (int i = 0; i < 10; ++i) use();
  // Given back each time they would be 20,480.
  EXPECT_LT(PagesGiven() - before, 2'000);
}

int64_t ResidentPages() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return resident;
}

TEST(ReturnFreedMemory, ReturnsWhatIsFreeBetweenBlocksThatAreHeld) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#endif
  constexpr size_t kBytes = 1 << 20;
  KeepFreedMemory();
  std::vector<std::unique_ptr<char[]>> blocks;
  for (int i = 0; i < 200; ++i) blocks.push_back(std::make_unique<char[]>(kBytes));
  const int64_t before = ResidentPages();
  for (size_t i = 0; i < blocks.size(); i += 2) blocks[i].reset();
  ReturnFreedMemory();
  // 100 MiB were freed.
  EXPECT_LT(ResidentPages(), before - 90 * (1 << 20) / ::sysconf(_SC_PAGESIZE));
}

}  // namespace
}  // namespace attnrl
