// SPDX-License-Identifier: Apache-2.0
#include "common/attention/kv_cache.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <vector>

#include "common/attention/testing/reference.h"

namespace attnrl::attention {
namespace {

using testing::ElementsAre;

// No two sizes are equal.
constexpr KvCacheShape kShape = {
    .layers = 3, .slots = 5, .max_tokens = 7, .kv_heads = 2, .head_dim = 4};

std::vector<int64_t> ToVector(const at::Tensor& index) {
  return {index.const_data_ptr<int64_t>(), index.const_data_ptr<int64_t>() + index.numel()};
}

KvCache CpuCache(at::ScalarType dtype = at::kFloat, const KvCacheShape& shape = kShape) {
  return KvCache(shape, dtype, at::kCPU);
}

// Keys of all layers, slots and tokens; and values.
std::vector<at::Tensor> Contents(const KvCache& cache) {
  std::vector<at::Tensor> contents;
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
    contents.push_back(cache.keys(layer).clone());
    contents.push_back(cache.values(layer).clone());
  }
  return contents;
}

// Every element a number of its own.
void Fill(KvCache& cache) {
  double first = 1;
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
    for (const at::Tensor& part : {cache.keys(layer), cache.values(layer)}) {
      const at::Tensor numbers = at::arange(part.numel()).to(at::kFloat).add_(first);
      at::Tensor(part).copy_(numbers.view(part.sizes()));
      first += static_cast<double>(part.numel());
    }
  }
}

TEST(KvCache, BeginsAsZerosOfItsShape) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const KvCache cache = CpuCache(dtype);
    for (const at::Tensor& part : Contents(cache)) {
      EXPECT_EQ(part.sizes(), (std::vector<int64_t>{5, 7, 2, 4}));
      EXPECT_EQ(part.scalar_type(), dtype);
      EXPECT_EQ(part.abs().max().item<double>(), 0);
    }
  }
}

TEST(KvCache, OfNoSlotsHoldsNothing) {
  KvCacheShape shape = kShape;
  shape.slots = 0;
  EXPECT_EQ(CpuCache(at::kFloat, shape).keys(0).numel(), 0);
  EXPECT_EQ(KvCache::Bytes(shape, at::kFloat), 0);
}

TEST(KvCache, CountsTheBytesOfItsTensors) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    int64_t bytes = 0;
    for (const at::Tensor& part : Contents(CpuCache(dtype))) {
      bytes += static_cast<int64_t>(part.nbytes());
    }
    EXPECT_EQ(KvCache::Bytes(kShape, dtype), bytes);
  }
  // More than 32 bits hold: 7B parameters' worth of layers, 256 slots of 32k tokens.
  EXPECT_EQ(KvCache::Bytes({32, 256, 32768, 8, 128}, at::kBFloat16), int64_t{1} << 40);
}

TEST(KvCache, IndexesSlotsTokenAfterToken) {
  const KvCache cache = CpuCache();
  EXPECT_THAT(ToVector(cache.AppendIndex({{.slot = 0, .past = 0, .rows = 3}})),
              ElementsAre(0, 1, 2));
  EXPECT_THAT(ToVector(cache.AppendIndex({{.slot = 4, .past = 6, .rows = 1},
                                          {.slot = 1, .past = 2, .rows = 2},
                                          {.slot = 0, .past = 5}})),
              ElementsAre(34, 9, 10, 5));
  EXPECT_THAT(ToVector(cache.AppendIndex({})), ElementsAre());
}

TEST(KvCache, StoresRowsWhereTheyBelongAndNowhereElse) {
  RandomStream random({.seed = 1});
  KvCache cache = CpuCache();
  Fill(cache);
  std::vector<at::Tensor> expected = Contents(cache);
  const at::Tensor k = RandomTensor(random, {4, 2, 4});
  const at::Tensor v = RandomTensor(random, {4, 2, 4});
  // The last token of the last slot among them.
  const std::vector<SequenceRows> sequences = {{.slot = 4, .past = 5, .rows = 2},
                                               {.slot = 2, .past = 0, .rows = 2}};
  cache.Append(1, cache.AppendIndex(sequences), k, v);
  expected[2].select(0, 4).narrow(0, 5, 2).copy_(k.narrow(0, 0, 2));
  expected[2].select(0, 2).narrow(0, 0, 2).copy_(k.narrow(0, 2, 2));
  expected[3].select(0, 4).narrow(0, 5, 2).copy_(v.narrow(0, 0, 2));
  expected[3].select(0, 2).narrow(0, 0, 2).copy_(v.narrow(0, 2, 2));
  const std::vector<at::Tensor> contents = Contents(cache);
  for (size_t i = 0; i < contents.size(); ++i) {
    EXPECT_TRUE(at::equal(contents[i], expected[i])) << i;
  }
}

TEST(KvCache, RoundsRowsToItsType) {
  RandomStream random({.seed = 2});
  KvCache cache = CpuCache(at::kBFloat16);
  const at::Tensor k = RandomTensor(random, {3, 2, 4});
  const at::Tensor v = RandomTensor(random, {3, 2, 4});
  cache.Append(0, cache.AppendIndex({{.slot = 3, .past = 1, .rows = 3}}), k, v);
  EXPECT_TRUE(at::equal(cache.keys(0)[3].narrow(0, 1, 3), k.to(at::kBFloat16)));
  EXPECT_TRUE(at::equal(cache.values(0)[3].narrow(0, 1, 3), v.to(at::kBFloat16)));
}

TEST(KvCache, CopiesAPrefixInAllLayersAndLeavesTheRest) {
  for (const int64_t tokens : {0, 1, 4, 7}) {
    KvCache cache = CpuCache();
    Fill(cache);
    std::vector<at::Tensor> expected = Contents(cache);
    for (const at::Tensor& part : expected) {
      for (int64_t token = 0; token < tokens; ++token) part[1][token].copy_(part[3][token]);
    }
    cache.CopyPrefix(3, 1, tokens);
    const std::vector<at::Tensor> contents = Contents(cache);
    for (size_t i = 0; i < contents.size(); ++i) {
      EXPECT_TRUE(at::equal(contents[i], expected[i])) << tokens << " " << i;
    }
  }
}

TEST(KvCache, CopiesASlotToItselfUnchanged) {
  KvCache cache = CpuCache();
  Fill(cache);
  const std::vector<at::Tensor> expected = Contents(cache);
  cache.CopyPrefix(2, 2, 5);
  const std::vector<at::Tensor> contents = Contents(cache);
  for (size_t i = 0; i < contents.size(); ++i) EXPECT_TRUE(at::equal(contents[i], expected[i]));
}

}  // namespace
}  // namespace attnrl::attention
