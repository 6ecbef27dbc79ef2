// SPDX-License-Identifier: Apache-2.0
// Ranks that are processes of their own, which talk to each other over TCP.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/testing/free_port.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/ranks/gloo_group.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/train/numerics.h"

namespace attnrl::learner {
namespace {

constexpr char kThisTest[] = "--gtest_filter=RankProcesses.SumUpToRoundingWhatOneProcessSums";

// This test again, as another rank; its process id.
pid_t Start(const RankPlace& place) {
  const std::vector<std::string> words = {"/usr/bin/env",
                                          "RANK=" + std::to_string(place.rank),
                                          "WORLD_SIZE=" + std::to_string(place.size),
                                          "MASTER_ADDR=" + place.address,
                                          "MASTER_PORT=" + std::to_string(place.port),
                                          std::filesystem::read_symlink("/proc/self/exe").string(),
                                          kThisTest};
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t child = -1;
  EXPECT_EQ(posix_spawn(&child, argv[0], nullptr, nullptr, argv.data(), environ), 0);
  return child;
}

std::vector<double> Losses(Trainer& trainer) {
  std::vector<double> losses;
  for (uint32_t batch = 0; batch < 3; ++batch) {
    const auto statistics = trainer.Train(TinyBatch(batch, 5), nullptr);
    EXPECT_TRUE(statistics.ok()) << statistics.status();
    if (statistics.ok()) losses.push_back(statistics->loss);
  }
  return losses;
}

TEST(RankProcesses, SumUpToRoundingWhatOneProcessSums) {
  const TemporaryFolder folder;
  WriteTinyModel(folder.path());
  FixNumerics(1);
  const auto join = [&](const RankPlace& place) {
    return JoinRanks(place, {.timeout = absl::Minutes(2)});
  };
  const auto trainer_of = [&](RankGroup* group) {
    return TinyTrainer(folder.path(), TinyOptions(), model::DType::kFloat32, group);
  };
  const auto own = ReadRankPlace(1, /*allow_plaintext=*/false);
  ASSERT_TRUE(own.ok()) << own.status();
  if (!own->alone()) {  // started below
    const auto group = join(*own);
    ASSERT_TRUE(group.ok()) << group.status();
    const absl::Status followed = trainer_of(group->get())->Follow(nullptr);
    EXPECT_TRUE(followed.ok()) << followed;
    return;
  }

  const std::vector<double> alone = Losses(*trainer_of(nullptr));
  for (const int ranks : {2, 4}) {
    const RankPlace place = {0, ranks, "127.0.0.1", FreePort()};
    std::vector<pid_t> others;
    for (int rank = 1; rank < ranks; ++rank) {
      others.push_back(Start({rank, ranks, place.address, place.port}));
    }
    const auto group = join(place);
    ASSERT_TRUE(group.ok()) << group.status();
    const auto trainer = trainer_of(group->get());
    const std::vector<double> losses = Losses(*trainer);
    EXPECT_TRUE(trainer->Release(/*finished=*/true).ok());
    ASSERT_EQ(losses.size(), alone.size());
    for (size_t batch = 0; batch < losses.size(); ++batch) {
      EXPECT_NEAR(losses[batch], alone[batch], 1e-5) << ranks << " ranks";
    }
    for (const pid_t other : others) {
      int status = -1;
      EXPECT_EQ(waitpid(other, &status, 0), other);
      EXPECT_EQ(status, 0) << ranks << " ranks";
    }
  }
}

}  // namespace
}  // namespace attnrl::learner
