// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/workers_text.h"

#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

std::vector<scheduler::WorkerStatus> TwoWorkers() {
  return {{.worker = "worker-0",
           .capacity = 16,
           .leases = 12,
           .generated_tokens = 123456,
           .results = 1000,
           .version = 41,
           .last_seen_seconds = 0.4},
          {.worker = "a-worker-with-a-long-name",
           .capacity = 8,
           .parked = "no token in 2m with 5 leases",
           .last_seen_seconds = 131}};
}

TEST(WorkersTable, AlignsItsColumns) {
  EXPECT_EQ(WorkersTable(TwoWorkers()),
            "worker                     weights  leases  results   tokens  last seen  parked\n"
            "worker-0                     W(41)   12/16    1.0 k  123.5 k    0 s ago  -\n"
            "a-worker-with-a-long-name        -     0/8        0        0  131 s ago  "
            "no token in 2m with 5 leases\n");
}

TEST(WorkersTable, SaysThatNobodyIsConnected) {
  EXPECT_EQ(WorkersTable({}), "no worker is connected\n");
  EXPECT_EQ(WorkersJson({}), R"({"workers":[]})");
}

TEST(WorkersTable, LetsNoNameMoveTheCursor) {
  EXPECT_EQ(WorkersTable({{.worker = "w\x1b[2J"}}).find('\x1b'), std::string::npos);
}

TEST(WorkersJson, HasEveryColumnOfEachWorker) {
  EXPECT_EQ(
      WorkersJson(TwoWorkers()),
      R"({"workers":[{"worker":"worker-0","version":41,"leases":12,"capacity":16,"results":1000,)"
      R"("generated_tokens":123456,"last_seen_seconds":0.4,"parked":""},)"
      R"({"worker":"a-worker-with-a-long-name","version":null,"leases":0,"capacity":8,"results":0,)"
      R"("generated_tokens":0,"last_seen_seconds":131.0,"parked":"no token in 2m with 5 leases"}]})");
}

}  // namespace
}  // namespace attnrl::tools
