// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/decode_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/attention/cuda/testing/emulated_kernels.h"
#include "common/attention/paged/paged_attention.h"
#include "common/attention/paged/testing/block_tree.h"
#include "common/attention/testing/reference.h"
#include "common/device/testing/fake_device.h"
#include "common/device/testing/fake_memory.h"

namespace attnrl::attention {
namespace {

class Refusing final : public DecodeKernels {
 public:
  cuda::LaunchError Append(const AppendRows<float>&, int64_t) const override { return "no"; }
  cuda::LaunchError Append(const AppendRows<cuda::BFloat16>&, int64_t) const override {
    return "no";
  }
  cuda::LaunchError Attend(const PagedDecode<float>&, int64_t, int64_t, int64_t) const override {
    return "no";
  }
  cuda::LaunchError Attend(const PagedDecode<cuda::BFloat16>&, int64_t, int64_t,
                           int64_t) const override {
    return "no";
  }
  cuda::LaunchError Gather(const GatherKeys<float>&, int64_t) const override { return "no"; }
  cuda::LaunchError Gather(const GatherKeys<cuda::BFloat16>&, int64_t) const override {
    return "no";
  }
  cuda::LaunchError Update(const ScoreUpdates&) const override { return "no"; }
};

const PagedKvShape kShape{.layers = 2, .blocks = 12, .kv_heads = 2, .head_dim = 64};
constexpr int64_t kHeads = 6;

at::Tensor AttendOnGpu(PagedKvCache& cache, const AttentionPlan& plan, const DecodeKernels& kernels,
                       int64_t layer, const Inputs& inputs) {
  device::Upload upload;
  DecodeTables tables(plan, kHeads / kShape.kv_heads, upload);
  upload.Send(at::kCPU);
  tables.Receive(upload);
  DecodeAttention attention(cache, tables, kernels);
  return attention.Forward(layer, inputs.q, inputs.k, inputs.v);
}

// A prompt, then tokens of it and of a sequence that left it: each pass by the kernels of the GPU
// and by those of the CPU, over caches of their own.
void ExpectTheCpusRows(at::ScalarType dtype, double allowed) {
  PagedKvCache cache(kShape, dtype, at::kCPU);
  PagedKvCache other(kShape, dtype, at::kCPU);
  BlockTree tree;
  RandomStream random({.seed = 12});
  const size_t prompt = tree.Add();
  tree.Extend(prompt, 70);
  size_t child = 0;
  AttentionPlan plan;
  for (int pass = 0; pass < 4; ++pass) {
    std::vector<RowGroup> groups;
    if (pass == 0) {
      groups = {tree.Rows(prompt, 0, 70)};
    } else {
      if (pass == 1) child = tree.Fork(prompt, 45);
      tree.Extend(prompt, 1);
      tree.Extend(child, 2);
      groups = {tree.Rows(prompt, 69 + pass, 1), tree.Rows(child, 43 + 2 * pass, 2)};
    }
    plan.Build(groups);
    for (int64_t layer = 0; layer < kShape.layers; ++layer) {
      Inputs inputs = RandomInputs(random, plan.rows(), {kHeads, kShape.kv_heads, 64}).To(dtype);
      // Values that lie among other numbers, as those of a product for all heads.
      inputs.v = at::cat({inputs.v, inputs.v}, 1).narrow(1, 0, kShape.kv_heads);
      const at::Tensor found = AttendOnGpu(cache, plan, EmulatedDecodeKernels(), layer, inputs);
      PagedAttention attention(other, plan);
      const at::Tensor expected = attention.Forward(layer, inputs.q, inputs.k, inputs.v);
      EXPECT_EQ(found.scalar_type(), dtype);
      EXPECT_LT(Worst(found, expected), allowed) << pass << " " << layer;
    }
  }
}

TEST(DecodeAttention, GivesTheRowsOfTheCpusKernelsPassByPass) {
  ExpectTheCpusRows(at::kFloat, 3e-6);
  ExpectTheCpusRows(at::kBFloat16, 0x1p-7);
}

// Passes by the kernels of the GPU over memory that the host can't touch, with room for the keys of
// prompts, and by those of the CPU.
struct PromptCase {
  PagedKvShape shape;
  int64_t heads;
  at::ScalarType dtype;
  BlockTree tree;
  RandomStream random{{.seed = 12}};
  PagedKvCache cache, other;
  EmulatedDecodeKernels kernels;
  PromptRoom room;
  int64_t prompt_rows = 0;  // of the last pass

  PromptCase(int64_t repeats, at::ScalarType type)
      : shape{.layers = 2, .blocks = 60, .kv_heads = 2, .head_dim = 64},
        heads(2 * repeats),
        dtype(type),
        cache(shape, type, device::FakeDevice()),
        other(shape, type, at::kCPU),
        room(PromptRoom::For(shape, type, device::FakeDevice())) {
    cuda::EmulateUnder([] { return std::make_shared<device::OpenAllMemory>(); });
  }

  void ExpectTheCpusRows(const std::vector<RowGroup>& groups) {
    const at::Device fake = device::FakeDevice();
    AttentionPlan plan;
    plan.Build(groups);
    device::Upload upload;
    DecodeTables tables(plan, heads / 2, upload, {}, room.size());
    upload.Send(fake);
    tables.Receive(upload);
    prompt_rows = plan.rows() - tables.decoded_rows();
    DecodeAttention found(cache, std::move(tables), kernels, room);
    PagedAttention wanted(other, plan);
    for (int64_t layer = 0; layer < shape.layers; ++layer) {
      const Inputs in = RandomInputs(random, plan.rows(), {heads, 2, 64}).To(dtype);
      const at::Tensor rows = found.Forward(layer, in.q.to(fake), in.k.to(fake), in.v.to(fake));
      EXPECT_EQ(rows.scalar_type(), dtype);
      EXPECT_LT(Worst(rows.cpu(), wanted.Forward(layer, in.q, in.k, in.v)),
                dtype == at::kFloat ? 3e-6 : 0x1p-7);
    }
  }
};

// A text in chunks that end around the edges of blocks, then siblings that share it: some decode,
// one has a text of its own after it.
void ExpectChunksAndSiblings(int64_t repeats, at::ScalarType dtype) {
  PromptCase of(repeats, dtype);
  BlockTree& tree = of.tree;
  const size_t text = tree.Add(), other = tree.Add();
  tree.Extend(other, 70);
  of.ExpectTheCpusRows({tree.Rows(other, 0, 70)});
  EXPECT_EQ(of.prompt_rows, 70);
  int64_t first = 0;
  for (const int64_t end : {127, 128, 129, 257}) {
    tree.Extend(text, end - first);
    tree.Extend(other, 1);
    of.ExpectTheCpusRows(
        {tree.Rows(text, first, end - first), tree.Rows(other, tree.tokens(other) - 1, 1)});
    EXPECT_EQ(of.prompt_rows, end - first >= kPromptRows ? end - first : 0);
    first = end;
  }
  std::vector<RowGroup> groups;
  const size_t asks = tree.Fork(text, 250);
  tree.Extend(asks, 33);
  for (const int64_t at : {257, 257, 200}) {
    const size_t sibling = tree.Fork(text, at);
    tree.Extend(sibling, 2);
    groups.push_back(tree.Rows(sibling, at, 2));
  }
  groups.insert(groups.begin() + 1, tree.Rows(asks, 250, 33));
  of.ExpectTheCpusRows(groups);
  EXPECT_EQ(of.prompt_rows, 33);
}

TEST(DecodeAttention, AttendsToPromptsByFlashAttentionAndToAllElseByItsKernels) {
  for (const int64_t repeats : {1, 3, 7}) {
    ExpectChunksAndSiblings(repeats, at::kFloat);
    ExpectChunksAndSiblings(repeats, at::kBFloat16);
  }
}

TEST(DecodeAttention, HasABoundForTheKeysOfPrompts) {
  PagedKvShape shape{.layers = 1, .blocks = 2, .kv_heads = 4, .head_dim = 128};
  EXPECT_EQ(PromptRoom::For(shape, at::kBFloat16, at::kCPU).size(), 64);
  shape.blocks = 1 << 20;
  const PromptRoom room = PromptRoom::For(shape, at::kBFloat16, at::Device(at::kMeta));
  EXPECT_EQ(static_cast<int64_t>(room.keys.nbytes() + room.values.nbytes()),
            PromptRoom::kMostBytes);
}

// One row for each sequence: what a graph of decoding steps has room for, and what is needed.
void ExpectLittlePadding(const std::vector<RowGroup>& groups, int64_t repeats) {
  AttentionPlan plan;
  plan.Build(groups);
  device::Upload exact_upload, upload;
  const DecodeSize exact = DecodeTables(plan, repeats, exact_upload).size();
  const DecodeSize padded = DecodeTables(plan, repeats, upload, {}, plan.rows(), {}).size();
  EXPECT_GE(padded.units, exact.units);
  EXPECT_LE(padded.units, std::max<int64_t>(64, exact.units * 5 / 4)) << exact.units;
  EXPECT_GE(padded.parts, exact.parts);
  EXPECT_LE(padded.parts, std::max<int64_t>(64, exact.parts * 5 / 4)) << exact.parts;
  EXPECT_GE(padded.tasks, exact.tasks);
  EXPECT_GE(padded.pieces, exact.pieces);
  constexpr int64_t kLeast = 1300;  // of 8 bytes, for the smallest sizes
  EXPECT_LE(upload.numbers(), 2 * exact_upload.numbers() + kLeast);
}

void ExpectLittlePadding(const BlockTree& tree, size_t sequences, int64_t repeats) {
  std::vector<RowGroup> groups;
  for (size_t i = 0; i < sequences; ++i) groups.push_back(tree.Rows(i, tree.tokens(i) - 1, 1));
  ExpectLittlePadding(groups, repeats);
}

TEST(DecodeTables, HaveLittleMoreRoomThanAFullCacheTakesOfWhichNothingIsShared) {
  BlockTree tree;
  for (int i = 0; i < 61; ++i) tree.Extend(tree.Add(), 67 * kUnitTasks * kBlockTokens);
  ExpectLittlePadding(tree, 61, 6);
}

TEST(DecodeTables, HaveLittleMoreRoomThanManySiblingsTake) {
  BlockTree tree;
  tree.Extend(tree.Add(), 8200);
  for (int i = 0; i < 200; ++i) tree.Extend(tree.Fork(0, 8200), 1000 + 7 * i);
  ExpectLittlePadding(tree, 201, 6);
  ExpectLittlePadding(tree, 201, 1);
}

TEST(DecodeTables, HaveLittleMoreRoomThanAnyPassTakes) {
  RandomStream random({.seed = 31});
  const auto below = [&](int64_t most) {
    return static_cast<int64_t>(random.Uniform() * static_cast<double>(most));
  };
  for (int round = 0; round < 40; ++round) {
    BlockTree tree;
    const auto sequences = static_cast<size_t>(1 + below(100));
    for (size_t i = 0; i < sequences; ++i) {
      const auto parent = static_cast<size_t>(below(static_cast<int64_t>(i)));
      const bool forks = i > 0 && below(3) > 0;
      const size_t at = forks ? tree.Fork(parent, 1 + below(tree.tokens(parent))) : tree.Add();
      tree.Extend(at, 1 + below(2000));
    }
    ExpectLittlePadding(tree, sequences, 1 + below(kDecodeQueries));
  }
}

TEST(DecodeAttention, SaysWhyALaunchWasRefused) {
  PagedKvCache cache(kShape, at::kFloat, at::kCPU);
  BlockTree tree;
  tree.Extend(tree.Add(), 1);
  AttentionPlan plan;
  plan.Build(std::vector<RowGroup>{tree.Rows(0, 0, 1)});
  RandomStream random({.seed = 1});
  const Inputs inputs = RandomInputs(random, 1, {kHeads, kShape.kv_heads, 64});
  try {
    AttendOnGpu(cache, plan, Refusing(), 0, inputs);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "the GPU: no");
  }
}

TEST(DecodeAttention, FitsHeadsOf64And128ElementsInGroupsOfUpTo16) {
  PagedKvShape shape = kShape;
  EXPECT_TRUE(DecodeAttention::Fits(shape, 32, at::kBFloat16));
  EXPECT_FALSE(DecodeAttention::Fits(shape, 34, at::kBFloat16));
  EXPECT_FALSE(DecodeAttention::Fits(shape, 6, at::kDouble));
  shape.head_dim = 128;
  EXPECT_TRUE(DecodeAttention::Fits(shape, 6, at::kFloat));
  shape.head_dim = 96;
  EXPECT_FALSE(DecodeAttention::Fits(shape, 6, at::kFloat));
}

}  // namespace
}  // namespace attnrl::attention
