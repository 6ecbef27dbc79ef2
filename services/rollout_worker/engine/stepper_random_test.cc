// SPDX-License-Identifier: Apache-2.0
// The stepper against one sequence at a time, over random histories.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "common/base/philox.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/testing/fake_step_runner.h"
#include "services/rollout_worker/testing/requests.h"

namespace attnrl::rollout {
namespace {

// A long seeded mixture of submits, aborts, new weights and steps with three versions, shared
// prompts and responses and a cache that is too small for all: every block is accounted for after
// each step, and every finished sequence equals the one computed alone.
TEST(Stepper, RandomUseEqualsTheNaiveModel) {
  const FakeClock clock;
  std::map<uint64_t, Completion> done;
  RandomStream random({.seed = 42});
  FakeStepRunner runner(10, kVocabulary);
  Stepper stepper({.slots = 6, .max_tokens = 130, .max_step_rows = 48, .max_waiting = 100}, runner,
                  clock);
  uint64_t weights[] = {10, 11, 12};
  for (uint32_t v = 0; v < 3; ++v) stepper.SetWeights(v, FakeStepRunner::Weights(weights[v]));
  std::map<uint64_t, Request> submitted;
  std::map<uint64_t, uint64_t> lowest;  // the oldest weights that it can have got
  std::vector<uint64_t> roots;          // requests that became texts
  int64_t preempted = 0;
  uint64_t next = 1;
  const auto step = [&] {
    const bool busy = stepper.Step();
    if (busy) preempted += stepper.report().preempted;
    return busy;
  };
  for (int action = 0; action < 16000; ++action) {
    const uint64_t kind = random.Below(20);
    if (kind < 5 && stepper.waiting() < 100) {
      const auto problem = static_cast<uint32_t>(random.Below(4));
      Request request =
          MakeRequest(next, Text(20 + 9 * problem), 1 + static_cast<int64_t>(random.Below(60)));
      request.version = static_cast<uint32_t>(random.Below(3));
      if (random.Below(2) == 0) request.stop_ids = {0};
      request.shared = {{{problem}, static_cast<int64_t>(request.prompt_ids.size())}};
      request.becomes = {{problem, static_cast<uint32_t>(next)}};
      roots.push_back(next);
      submitted[next++] = request;
    } else if (kind < 7 && stepper.waiting() < 100 && !roots.empty()) {
      // A continuation of a response that may or may not still be there.
      const uint64_t root = roots[random.Below(roots.size())];
      if (!done.contains(root) || !done[root].status.ok()) continue;
      Request request = submitted[root];
      const size_t kept = random.Below(done[root].token_ids.size() + 1);
      request.id = next;
      request.becomes.reset();
      request.key.node = static_cast<uint32_t>(next);
      request.prompt_ids.insert(request.prompt_ids.end(), done[root].token_ids.begin(),
                                done[root].token_ids.begin() + static_cast<ptrdiff_t>(kept));
      request.first_index = static_cast<uint32_t>(kept);
      request.max_new_tokens = 1 + static_cast<int64_t>(random.Below(20));
      request.shared.push_back({{request.shared[0].id[0], static_cast<uint32_t>(root)},
                                static_cast<int64_t>(request.prompt_ids.size())});
      submitted[next++] = request;
    } else if (kind == 7 && next > 1) {
      const uint64_t victim = 1 + random.Below(next - 1);
      const bool live = !done.contains(victim);
      ASSERT_EQ(stepper.Abort(victim), live);
      continue;
    } else if (kind == 8 && random.Below(10) == 0) {
      const auto version = static_cast<uint32_t>(random.Below(3));
      weights[version] += 10;
      stepper.SetWeights(version, FakeStepRunner::Weights(weights[version]));
      continue;
    } else {
      step();
      ASSERT_EQ(stepper.pool().used(), stepper.ReachableBlocks());
      ASSERT_LE(runner.largest_run(), 48);
      ASSERT_EQ(static_cast<uint64_t>(stepper.waiting() + stepper.running()) + done.size(),
                submitted.size());
      continue;
    }
    const Request& request = submitted[next - 1];
    lowest[request.id] = weights[request.version];
    ASSERT_TRUE(stepper
                    .Submit(request,
                            [&done](Completion completion) {
                              const uint64_t id = completion.id;
                              EXPECT_TRUE(done.emplace(id, std::move(completion)).second);
                            })
                    .ok());
  }
  while (step()) {
  }
  ASSERT_EQ(done.size(), submitted.size());
  int finished = 0;
  for (const auto& [id, completion] : done) {
    if (absl::IsCancelled(completion.status)) continue;
    ASSERT_TRUE(completion.status.ok()) << completion.status;
    // Of the weights between its arrival and now, one made all of it.
    bool equal = false;
    const uint64_t newest = weights[submitted[id].version];
    for (uint64_t number = lowest[id]; number <= newest && !equal; number += 10) {
      const Completion expected = Naive(submitted[id], number);
      equal = completion.token_ids == expected.token_ids &&
              completion.logprobs == expected.logprobs && completion.entropy == expected.entropy &&
              completion.finish == expected.finish;
    }
    ASSERT_TRUE(equal) << "request " << id;
    ++finished;
  }
  EXPECT_GT(finished, 500);
  EXPECT_GT(preempted, 10);
  for (uint32_t version = 0; version < 3; ++version) stepper.DropWeights(version);
  EXPECT_EQ(stepper.pool().used(), 0) << "the cached texts go with their weights";
}

}  // namespace
}  // namespace attnrl::rollout
