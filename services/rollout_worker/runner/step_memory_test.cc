// SPDX-License-Identifier: Apache-2.0
// What a decoding step on the CPU asks of the memory's allocators: in a binary of its own, whose
// `new` counts.
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "common/model/transformer.h"
#include "services/rollout_worker/runner/runner.h"

namespace {

std::atomic<int64_t> objects = 0;  // made by `new`
std::atomic<int64_t> tensors = 0;  // with memory of their own

void* Count(void* memory) {
  ++objects;
  return memory != nullptr ? memory : throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return Count(std::malloc(size)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto to = static_cast<std::size_t>(alignment);
  return Count(std::aligned_alloc(to, (size + to - 1) / to * to));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace attnrl::rollout {
namespace {

class CountingAllocator final : public c10::Allocator {
 public:
  CountingAllocator() : base_(*c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, 255); }

  c10::DataPtr allocate(size_t size) override {
    ++tensors;
    return base_.allocate(size);
  }
  c10::DeleterFnPtr raw_deleter() const override { return base_.raw_deleter(); }
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }

 private:
  c10::Allocator& base_;
};

struct Setup {
  int64_t layers = 2;
  int32_t sequences = 3;
  int32_t first_position = 0;
  model::DType dtype = model::DType::kFloat32;
  bool deterministic = false;
};

struct Counts {
  double objects = 0;  // a step
  double tensors = 0;
  int64_t first_tensors = 0;  // of the first step, which finds nothing kept
};

// Of steps in which all sequences decode a token, once a few have gone before.
Counts CountSteps(const Setup& setup) {
  constexpr int kBefore = 6;
  constexpr int kCounted = 10;
  static CountingAllocator& counting = *new CountingAllocator;
  static_cast<void>(counting);
  model::ModelConfig config;
  config.vocab_size = 500;
  config.hidden_size = 64;
  config.intermediate_size = 160;
  config.layers = setup.layers;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.max_position_embeddings = 4096;
  config.initializer_range = 0.2;
  config.qkv_bias = true;
  config.qk_norm = true;
  const int32_t blocks = (setup.first_position + kBefore + kCounted) / attention::kBlockTokens + 1;
  const auto runner = *MakeRunner({.blocks = blocks * setup.sequences,
                                   .deterministic = setup.deterministic,
                                   .threads = 2,
                                   .dtype = setup.dtype},
                                  config);
  const auto model =
      *MakeModel(config, model::RandomTensors(config, 1, setup.dtype), setup.deterministic);
  runner->Begin();
  std::vector<attention::BlockPiece> pieces;
  for (int32_t i = 0; i < blocks * setup.sequences; ++i) {
    pieces.push_back({i, 0, attention::kBlockTokens});
  }
  StepPlan plan;
  Counts counts;
  for (int32_t step = 0; step < kBefore + kCounted; ++step) {
    plan.Clear();
    for (int32_t i = 0; i < setup.sequences; ++i) {
      plan.ids.push_back(i + step);
      plan.groups.push_back({setup.first_position + step, 1,
                             std::span(pieces).subspan(static_cast<size_t>(i * blocks),
                                                       static_cast<size_t>(blocks))});
      plan.samples.push_back({.row = i, .key = {.seed = 1}, .index = static_cast<uint32_t>(step)});
    }
    const int64_t objects_before = objects;
    const int64_t tensors_before = tensors;
    const auto sampled = runner->Run(plan, *model);
    if (step == 0) counts.first_tensors = tensors - tensors_before;
    if (step >= kBefore) {
      counts.objects += static_cast<double>(objects - objects_before) / kCounted;
      counts.tensors += static_cast<double>(tensors - tensors_before) / kCounted;
    }
    EXPECT_TRUE(sampled.ok()) << sampled.status();
  }
  return counts;
}

// The step's list of tokens, its attention, and records of its ids, positions and rows.
constexpr double kMostObjects = 8;

TEST(StepMemory, AStepNeedsNoNewTensorAndAsManyObjectsWhateverItsSize) {
  for (const model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    const Counts small = CountSteps({.layers = 1, .sequences = 1, .dtype = dtype});
    const Counts large = CountSteps({.layers = 6, .sequences = 40, .dtype = dtype});
    EXPECT_GT(small.first_tensors, 0) << "the counter sees nothing";
    EXPECT_EQ(small.tensors, 0);
    EXPECT_EQ(large.tensors, 0);
    EXPECT_LE(small.objects, kMostObjects);
    EXPECT_EQ(large.objects, small.objects);
  }
}

TEST(StepMemory, NeitherDoOnesOfLongSequencesWhichThreadsShare) {
  const Counts counts = CountSteps({.sequences = 1, .first_position = 2500});
  EXPECT_EQ(counts.tensors, 0);
  EXPECT_LE(counts.objects, kMostObjects);
}

TEST(StepMemory, NeitherDoOnesInFixedOrder) {
  const Counts counts = CountSteps({.dtype = model::DType::kBFloat16, .deterministic = true});
  EXPECT_EQ(counts.tensors, 0);
  EXPECT_LE(counts.objects, kMostObjects);
}

}  // namespace
}  // namespace attnrl::rollout
