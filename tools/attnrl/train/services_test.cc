// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace attnrl::tools {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::EndsWith;

std::vector<ServicePlan> Plans(int64_t workers) {
  config::Config config;
  config.rollout.workers = workers;
  config.rollout.threads = 1;
  config.learner.threads = 3;
  return PlanServices(
      config, {}, {.run_directory = "/run", .socket_folder = "/tmp/s", .binary_folder = "/bin"});
}

TEST(PlanServices, StartsWorkersLast) {
  std::vector<std::string> names;
  for (const ServicePlan& plan : Plans(2)) names.push_back(plan.process.name);
  EXPECT_THAT(names,
              ElementsAre("verifier", "learner", "branch-scheduler", "worker-0", "worker-1"));
}

TEST(PlanServices, TellsEveryRankOfTheLearnerItsPlace) {
  config::Config config;
  config.learner.ranks = 3;
  const std::vector<ServicePlan> plans = PlanServices(
      config, {},
      {.run_directory = "", .socket_folder = "", .binary_folder = "", .rank_port = 1234});
  for (size_t rank = 0; rank < 3; ++rank) {
    const ProcessSpec& process = plans[1 + rank].process;
    EXPECT_EQ(process.name, rank == 0 ? "learner" : "learner-rank-" + std::to_string(rank));
    EXPECT_THAT(process.argv[0], EndsWith("/attnrl-learner"));
    EXPECT_EQ(process.environment.at("RANK"), std::to_string(rank));
    EXPECT_EQ(process.environment.at("WORLD_SIZE"), "3");
    EXPECT_EQ(process.environment.at("MASTER_ADDR"), "127.0.0.1");
    EXPECT_EQ(process.environment.at("MASTER_PORT"), "1234");
    EXPECT_EQ(process.environment.at("TORCHELASTIC_USE_AGENT_STORE"), "False");
  }
  EXPECT_EQ(Plans(1)[1].process.environment.at("WORLD_SIZE"), "1");
}

std::vector<std::string> GpusOf(const std::string& learner, const std::string& rollout) {
  config::Config config;
  config.learner.ranks = 2;
  config.rollout.workers = 3;
  config.learner.device = learner;
  config.rollout.device = rollout;
  std::vector<std::string> gpus;
  for (const ServicePlan& plan : PlanServices(config, {},
                                              {.run_directory = "",
                                              .socket_folder = "",
                                              .binary_folder = "",
                                              .gpus = {"4", "5", "6"}})) {
    const auto& environment = plan.process.environment;
    const auto visible = environment.find("CUDA_VISIBLE_DEVICES");
    gpus.push_back(visible == environment.end() ? "" : visible->second);
  }
  return gpus;
}

TEST(PlanServices, GivesRanksAndWorkersAGpuEachAsLongAsThereAreSome) {
  EXPECT_THAT(GpusOf("cuda", "cuda"), ElementsAre("", "4", "5", "", "6", "4", "5"));
  EXPECT_THAT(GpusOf("cpu", "cuda"), ElementsAre("", "", "", "", "4", "5", "6"));
  EXPECT_THAT(GpusOf("cuda:2", "cuda:0"), ElementsAre("", "6", "6", "", "4", "4", "4"));
  EXPECT_THAT(GpusOf("cpu", "cpu"), Each(""));
}

TEST(PlanServices, TellsWhoSeesOneGpuToTakeIt) {
  config::Config config;
  config.rollout.device = "cuda:1";
  const ProcessSpec worker =
      PlanServices(
          config, {},
          {.run_directory = "", .socket_folder = "", .binary_folder = "", .gpus = {"0", "1"}})
          .back()
          .process;
  EXPECT_THAT(worker.argv, Contains("rollout.device=cuda"));
  EXPECT_EQ(worker.environment.at("LOCAL_RANK"), "0");
}

TEST(VisibleGpus, HaveTheNamesThatThisProcessSeesOrElseNumbers) {
  unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_THAT(VisibleGpus(2), ElementsAre("0", "1"));
  setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8a,5", 1);
  EXPECT_THAT(VisibleGpus(2), ElementsAre("3", "GPU-8a"));
  unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST(FreePort, IsOneThatCanBeHad) {
  const auto port = FreePort();
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_GT(*port, 0);
  EXPECT_LT(*port, 65536);
}

TEST(PlanServices, NamesEachBinaryByItsRole) {
  EXPECT_THAT(Plans(1)[3].process.argv[0], EndsWith("/attnrl-rollout-worker"));
  EXPECT_THAT(Plans(1)[2].process.argv[0], EndsWith("/attnrl-branch-scheduler"));
}

TEST(PlanServices, HandsOnAddressesAndThreadBudget) {
  const ProcessSpec learner = Plans(1)[1].process;
  EXPECT_THAT(learner.argv, Contains("scheduler.address=unix:/tmp/s/scheduler.sock"));
  EXPECT_THAT(learner.argv, Contains("/run/config.yaml"));
  EXPECT_EQ(learner.environment.at("OMP_NUM_THREADS"), "3");
  EXPECT_EQ(learner.environment.at("OMP_WAIT_POLICY"), "PASSIVE");
}

TEST(PlanServices, GivesEveryServiceTheSameFileAndSockets) {
  for (const ServicePlan& plan : Plans(2)) {
    const ProcessSpec& process = plan.process;
    const std::vector<std::string> after(process.argv.begin() + 1, process.argv.end());
    EXPECT_THAT(after,
                ElementsAre("--config", "/run/config.yaml", "--run-dir", "/run", "--name",
                            process.name, "--set", "scheduler.address=unix:/tmp/s/scheduler.sock",
                            "--set", "verifier.address=unix:/tmp/s/verifier.sock", "--set",
                            "learner.address=unix:/tmp/s/learner.sock"));
    EXPECT_EQ(process.output_file, "/run/logs/" + process.name + ".out");
    EXPECT_NE(plan.does, "");
  }
}

TEST(PlanServices, ShowsTheThreadsThatItHandsOn) {
  config::Config config;
  config.rollout.workers = 1;
  config.rollout.threads = 5;
  config.learner.threads = 3;
  config.learner.ranks = 2;
  const MemoryEstimate memory = {.worker_bytes = 1,
                                 .learner_bytes = 2,
                                 .rank_bytes = 5,
                                 .scheduler_bytes = 3,
                                 .verifier_bytes = 4};
  std::vector<std::string> shown;
  for (const ServicePlan& plan : PlanServices(config, memory, {})) {
    EXPECT_EQ(plan.process.environment.at("OMP_NUM_THREADS"), std::to_string(plan.threads));
    EXPECT_EQ(plan.process.environment.at("MKL_NUM_THREADS"), std::to_string(plan.threads));
    shown.push_back(plan.process.name + " " + std::to_string(plan.threads) + " " +
                    std::to_string(plan.memory_bytes));
  }
  EXPECT_THAT(shown, ElementsAre("verifier 1 4", "learner 3 2", "learner-rank-1 3 5",
                                 "branch-scheduler 1 3", "worker-0 5 1"));
}

TEST(ThreadsOfWorker, IsAnEqualPartOfWhatTheLearnerLeavesUnlessItIsSaid) {
  config::Config config;
  config.rollout.workers = 3;
  config.learner.threads = 2;
  config.learner.ranks = 2;
  EXPECT_EQ(ThreadsOfWorker(config, 16), 4);
  EXPECT_EQ(ThreadsOfWorker(config, 9), 1);
  EXPECT_EQ(ThreadsOfWorker(config, 1), 1);
  config.rollout.workers = 0;
  EXPECT_EQ(ThreadsOfWorker(config, 16), 0) << "those that join have machines of their own";
  config.rollout.threads = 7;
  EXPECT_EQ(ThreadsOfWorker(config, 1), 7);
}

TEST(PlanServices, AllowsARunWithoutWorkers) { EXPECT_EQ(Plans(0).size(), 3u); }

}  // namespace
}  // namespace attnrl::tools
