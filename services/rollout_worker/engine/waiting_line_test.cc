// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/waiting_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::rollout {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<Sequence> Make(uint64_t id, int64_t tokens, uint32_t version = 0) {
  auto sequence = std::make_unique<Sequence>();
  sequence->request.id = id;
  sequence->request.version = version;
  sequence->request.max_new_tokens = tokens;
  sequence->arrival = id;
  return sequence;
}

std::vector<uint64_t> Drain(WaitingLine& line, uint32_t version = 0) {
  std::vector<uint64_t> ids;
  while (!line.empty()) {
    EXPECT_EQ(line.Front(version).request.id, ids.emplace_back(line.Front(version).request.id));
    line.PopFront(version);
  }
  return ids;
}

TEST(WaitingLine, TheLongestGoesFirstThenTheOneThatCameFirst) {
  WaitingLine line;
  line.Push(Make(1, 10));
  line.Push(Make(2, 30));
  line.Push(Make(3, 30));
  line.Push(Make(4, 20));
  EXPECT_THAT(Drain(line), ElementsAre(2, 3, 4, 1));
}

TEST(WaitingLine, WhatRanBeforeGoesFirst) {
  WaitingLine line;
  line.Push(Make(1, 50));
  auto preempted = Make(2, 10);
  preempted->result.token_ids = {5};
  line.Push(std::move(preempted));
  EXPECT_THAT(Drain(line), ElementsAre(2, 1));
}

TEST(WaitingLine, HasALineForEachVersion) {
  WaitingLine line;
  line.Push(Make(1, 10, 4));
  line.Push(Make(2, 10, 3));
  std::vector<uint32_t> versions;
  line.ForVersions([&](uint32_t version) {
    versions.push_back(version);
    return false;
  });
  EXPECT_THAT(versions, ElementsAre(3, 4));
  line.PopFront(3);
  versions.clear();
  line.ForVersions([&](uint32_t version) {
    versions.push_back(version);
    return false;
  });
  EXPECT_THAT(versions, ElementsAre(4));
}

TEST(WaitingLine, RemovesByName) {
  WaitingLine line;
  line.Push(Make(1, 10));
  line.Push(Make(2, 10));
  EXPECT_TRUE(line.contains(1));
  EXPECT_EQ(line.Remove(1)->request.id, 1U);
  EXPECT_EQ(line.Remove(1), nullptr);
  EXPECT_THAT(Drain(line), ElementsAre(2));
}

}  // namespace
}  // namespace attnrl::rollout
