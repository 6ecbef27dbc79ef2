// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/flat_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::learner {
namespace {

using ::testing::ElementsAre;

using Shapes = std::map<std::string, std::vector<int64_t>>;

Shapes Eleven() {
  Shapes shapes = {{"lm_head.weight", {5, 7}}, {"model.norm.weight", {7}}};
  for (int layer = 0; layer < 11; ++layer) {
    const std::string name = "model.layers." + std::to_string(layer);
    shapes[name + ".input_layernorm.weight"] = {7};
    shapes[name + ".mlp.up_proj.weight"] = {3, 7};
  }
  return shapes;
}

TEST(FlatLayout, CompletesLayersFromTheLastToTheFirstAndThenTheRest) {
  const FlatLayout layout(Eleven(), {});
  std::vector<std::string> first;
  for (const FlatLayout::Bucket& bucket : layout.buckets()) {
    first.push_back(layout.slices()[bucket.first].name);
    EXPECT_EQ(bucket.last - bucket.first, first.back().starts_with("model.layers.") ? 2u : 1u);
  }
  ASSERT_EQ(first.size(), 13u);
  EXPECT_EQ(first[0], "model.layers.10.input_layernorm.weight");
  EXPECT_EQ(first[1], "model.layers.9.input_layernorm.weight");
  EXPECT_EQ(first[10], "model.layers.0.input_layernorm.weight");
  EXPECT_EQ(first[11], "lm_head.weight");
  EXPECT_EQ(first[12], "model.norm.weight");
}

TEST(FlatLayout, EveryTensorHasItsPlaceInItsBucket) {
  for (const int parts : {1, 3, 4}) {
    const FlatLayout layout(Eleven(), {.parts = parts});
    int64_t end = 0;
    for (const FlatLayout::Slice& slice : layout.slices()) {
      EXPECT_GE(slice.offset, end);
      EXPECT_EQ(slice.offset % 16, 0);
      end = slice.offset + slice.count;
      const FlatLayout::Bucket& bucket = layout.BucketOf(slice);
      EXPECT_GE(slice.offset, bucket.offset);
      EXPECT_LE(end, bucket.offset + bucket.count);
      EXPECT_EQ(bucket.count % (16 * parts), 0);
      EXPECT_EQ(layout.Find(slice.name), &slice);
    }
    EXPECT_LE(end, layout.padded());
    EXPECT_EQ(layout.parameters(), 35 + 7 + 11 * (7 + 21));
    EXPECT_EQ(layout.Find("model"), nullptr);
  }
}

TEST(FlatLayout, ShardsOfAllRanksCoverEveryMatrixAndEveryVector) {
  int64_t matrices = 0;
  int64_t vectors = 0;
  for (int rank = 0; rank < 4; ++rank) {
    const FlatLayout layout(Eleven(), {.rank = rank, .ranks = 4, .parts = 4});
    int64_t end = 0;
    for (const FlatLayout::Run& run : layout.Runs()) {
      EXPECT_EQ(run.offset, end);  // nothing is left out
      end += run.count;
      (run.matrices ? matrices : vectors) += run.count;
    }
    EXPECT_EQ(end, layout.shard());
  }
  const FlatLayout whole(Eleven(), {.parts = 4});
  int64_t expected = 0;
  for (const FlatLayout::Run& run : whole.Runs()) expected += run.matrices ? run.count : 0;
  EXPECT_EQ(matrices, expected);
  EXPECT_EQ(matrices + vectors, whole.padded());
}

TEST(FlatLayout, RunsAreNeighboursOfOneKind) {
  const Shapes shapes = {{"a", {2, 3}}, {"b", {20}}, {"c", {5}}, {"d", {3, 3}}};
  std::vector<std::pair<int64_t, bool>> runs;
  for (const FlatLayout::Run& run : FlatLayout(shapes, {}).Runs()) {
    runs.emplace_back(run.count, run.matrices);
  }
  EXPECT_THAT(runs, ElementsAre(std::pair(16, true), std::pair(48, false), std::pair(16, true)));
}

}  // namespace
}  // namespace attnrl::learner
