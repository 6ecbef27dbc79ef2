// SPDX-License-Identifier: Apache-2.0
// The presets of deploy/local/paper: they load, fit, and differ in what they should.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "tools/attnrl/train/estimate/device_estimate.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kDevice = int64_t{80} << 30;
const fs::path kFolder = ATTNRL_SOURCE_DIR "/deploy/local/paper";

config::Config Preset(const std::string& name, const std::vector<std::string>& sets = {}) {
  const auto config = config::Load(kFolder / (name + ".yaml"), sets, {});
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(config::Config{});
}

absl::StatusOr<std::vector<DeviceEstimate>> Devices(const config::Config& config,
                                                    int64_t device_bytes = kDevice) {
  const auto shape = ReadRunShape(config);
  if (!shape.ok()) return shape.status();
  return EstimateDevices(config, *shape, device_bytes);
}

TEST(PaperPresets, AllFitIntoDevicesOf80GiB) {
  std::set<std::string> sizes;
  for (const fs::directory_entry& file : fs::directory_iterator(kFolder)) {
    if (file.path().extension() != ".yaml") continue;
    const std::string name = file.path().stem();
    sizes.insert(name.substr(name.rfind('-') + 1));
    const auto devices = Devices(config::Widest(Preset(name)));
    ASSERT_TRUE(devices.ok()) << name << ": " << devices.status();
    ASSERT_EQ(devices->size(), 2u) << name;
    int64_t gpus = 0;
    for (const DeviceEstimate& device : *devices) {
      EXPECT_LE(device.total(), kDevice) << name;
      gpus += device.processes;
    }
    EXPECT_EQ(gpus, name.ends_with("7b") ? 24 : 8) << name;
  }
  EXPECT_EQ(sizes, (std::set<std::string>{"1.5b", "7b"}));
}

TEST(PaperPresets, AnAblationDiffersFromAttnrlInItsKeysAlone) {
  const std::string sampling = "algorithm.sampling.";
  const std::map<std::string, std::set<std::string>> ablations = {
      {"branching-alone",
       {sampling + "adaptive_batch", sampling + "filter_solved", sampling + "expand",
        sampling + "difficulty_expansion"}},
      {"no-difficulty", {sampling + "expand", sampling + "difficulty_expansion"}},
      {"no-filter", {sampling + "filter_solved"}},
      {"drop-solved", {sampling + "filter_solved", sampling + "drop_all_solved"}},
      {"fixed-batch", {sampling + "adaptive_batch"}},
      {"random", {"algorithm.branching.criterion"}},
      {"sequential", {"pipeline.mode"}}};
  const auto attnrl = config::Fingerprint(Preset("attnrl-1.5b"));
  for (const auto& [name, keys] : ablations) {
    std::set<std::string> differing;
    for (const auto& [key, text] : config::Fingerprint(Preset("ablation-" + name + "-1.5b"))) {
      if (attnrl.at(key) != text) differing.insert(key);
    }
    EXPECT_EQ(differing, keys) << name;
  }
}

TEST(PaperPresets, BranchingAloneIsTreerlWithOtherPoints) {
  config::Config tree = Preset("treerl-1.5b", {"algorithm.branching.criterion=fci"});
  tree.algorithm.name = config::AlgorithmName::kAttnrl;
  EXPECT_EQ(config::Fingerprint(tree),
            config::Fingerprint(Preset("ablation-branching-alone-1.5b")));
}

TEST(PaperPresets, AllOfSevenBillionWeightsNeedRanksAndTheAnswerNamesThem) {
  const auto alone = Devices(Preset("attnrl-7b", {"learner.ranks=1"}));
  EXPECT_THAT(std::string(alone.status().message()), StartsWith("learner.ranks: a learner rank "));
  EXPECT_THAT(std::string(alone.status().message()), HasSubstr(" ranks"));
  const auto large = Devices(Preset("attnrl-7b", {"rollout.kv_cache_bytes=60000000000"}));
  EXPECT_THAT(std::string(large.status().message()),
              StartsWith("rollout.kv_cache_bytes: a worker would need about "));
}

}  // namespace
}  // namespace attnrl::tools
