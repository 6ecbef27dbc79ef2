// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;

std::vector<ServicePlan> Plans(int64_t workers) {
  config::Config config;
  config.rollout.workers = workers;
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

TEST(PlanServices, AllowsARunWithoutWorkers) { EXPECT_EQ(Plans(0).size(), 3u); }

}  // namespace
}  // namespace attnrl::tools
