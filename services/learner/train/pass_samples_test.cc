// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/pass_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace attnrl::learner {
namespace {

using ::testing::ElementsAre;

constexpr size_t kLength = 100;  // of every response

// Responses behind one prompt, each with two continuations behind the token that is named.
scheduler::TrainingBatch Trees(const std::vector<size_t>& points) {
  scheduler::TrainingBatch batch;
  int32_t next = 10;  // no two tokens are alike
  for (size_t response = 0; response < points.size(); ++response) {
    std::vector<int32_t> initial;
    for (int leaf = 0; leaf < 3; ++leaf) {
      scheduler::TrainingSample sample;
      sample.response = static_cast<uint32_t>(response);
      sample.prompt_ids = {1, 2, 3};
      if (leaf > 0) {
        sample.response_ids.assign(initial.begin(),
                                   initial.begin() + static_cast<ptrdiff_t>(points[response]));
      }
      while (sample.response_ids.size() < kLength) sample.response_ids.push_back(next++);
      if (leaf == 0) initial = sample.response_ids;
      batch.samples.push_back(sample);
    }
  }
  return batch;
}

// How many samples each part has.
std::vector<size_t> Parts(const scheduler::TrainingBatch& batch, int parts, Prefixes prefixes) {
  Samples samples;
  for (const scheduler::TrainingSample& sample : batch.samples) samples.push_back(&sample);
  std::vector<size_t> counts;
  for (const std::vector<PassSamples>& passes : PassesByPart(samples, parts, prefixes, 1000)) {
    counts.push_back(0);
    for (const PassSamples& pass : passes) counts.back() += pass.samples.size();
  }
  return counts;
}

TEST(PassesByPart, AreEvenInRowsWhereverTreesBranch) {
  // Trees of 280 rows and of 120.
  const scheduler::TrainingBatch batch = Trees({10, 10, 90, 90, 90, 90});
  EXPECT_THAT(Parts(batch, 2, Prefixes::kOnce), ElementsAre(6, 12)) << "557 and 468 rows";
  EXPECT_THAT(Parts(batch, 2, Prefixes::kEach), ElementsAre(9, 9)) << "nothing is shared";
  EXPECT_THAT(Parts(batch, 4, Prefixes::kOnce), ElementsAre(3, 3, 6, 6));
}

TEST(PassesByPart, KeepTreesWholeAndMayBeEmpty) {
  EXPECT_THAT(Parts(Trees({50}), 4, Prefixes::kOnce), ElementsAre(0, 0, 3, 0));
  EXPECT_THAT(Parts(Trees({}), 2, Prefixes::kOnce), ElementsAre(0, 0));
}

TEST(PassesByPart, AreEvenAcrossAResponseOfOneToken) {
  scheduler::TrainingBatch batch;
  for (const scheduler::TrainingSample& sample : Trees({50, 50, 50, 50, 50, 50}).samples) {
    if (sample.response != 1) batch.samples.push_back(sample);
    if (sample.response != 0 || batch.samples.size() < 3) continue;
    batch.samples.push_back(sample);
    batch.samples.back().response = 1;
    batch.samples.back().response_ids = {9};
  }
  // Five trees of three leaves around it.
  EXPECT_THAT(Parts(batch, 2, Prefixes::kOnce), ElementsAre(7, 9));
}

// Of which the last branches behind what the leaf before it in the batch doesn't have.
TEST(CountRows, CountsWhatAnyLeavesShareOnce) {
  const std::vector<int32_t> prompt = {1, 2};
  const std::vector<std::vector<int32_t>> responses = {
      {3, 4, 5, 6}, {3, 7, 8, 9}, {3, 4, 5, 10}, {3, 4, 5, 6}};
  std::vector<PassSequence> sequences;
  for (const std::vector<int32_t>& response : responses) sequences.push_back({prompt, response});
  EXPECT_EQ(CountRows(sequences, Prefixes::kOnce), 5 + 2);
  EXPECT_EQ(CountRows(sequences, Prefixes::kEach), 4 * 5);
  EXPECT_EQ(CountRows(sequences, Prefixes::kOnce),
            MakePass(sequences, Prefixes::kOnce, at::kCPU).ids.numel());
}

}  // namespace
}  // namespace attnrl::learner
