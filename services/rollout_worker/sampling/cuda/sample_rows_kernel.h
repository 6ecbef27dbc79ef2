// SPDX-License-Identifier: Apache-2.0
#pragma once

// The sampler's definition on a GPU: the largest logit of each block of ids, then the blocks' sums,
// then the draw of each row. Logits are read twice, in rows of 64 or 128 bytes; the draw reads one
// block again. Its sums in float64 have one order, so one thread adds them up, 150 and then up to
// 2,048 numbers of shared memory, while the other rows do the same.
#include <cmath>

#include "common/kernels/cuda/exponential.h"
#include "common/kernels/cuda/kernel_language.h"
#include "services/rollout_worker/sampling/cuda/sample_rows.h"

namespace attnrl::rollout {

// Below every finite logit, and what stands for logits of which one isn't finite.
inline constexpr float kLeast = -INFINITY;
inline constexpr float kNotFinite = INFINITY;

// Block x * 8 + warp of row y.
struct LargestOfBlocks {
  using Arguments = SampleRows;
  struct Shared {};
  static constexpr int kWarps = 8;
  static constexpr int kThreads = kWarps * cuda::kWarp;

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    const int64_t block = int64_t{cuda::BlockX()} * kWarps + cuda::WarpIndex();
    if (block >= a.blocks) return;  // the whole warp
    const float* const logits = a.logits + cuda::BlockY() * a.vocabulary;
    const int64_t end = cuda::Least((block + 1) * kSamplerBlock, a.vocabulary);
    float most = kLeast;
    float zero = 0;  // x * 0 is 0 for a finite x and NaN for all others
    for (int64_t id = block * kSamplerBlock + cuda::LaneIndex(); id < end; id += cuda::kWarp) {
      const float logit = logits[id];
      most = cuda::Most(most, logit);
      zero = cuda::Fma(logit, 0.0F, zero);
    }
    most = cuda::WarpMost(zero == 0 ? most : kNotFinite);
    if (cuda::LaneIndex() == 0) a.block_largest[cuda::BlockY() * a.blocks + block] = most;
  }
};

// The largest logit of the row, kNotFinite where one isn't finite; the same in each thread.
template <int kWarps>
ATTNRL_DEVICE float LargestOfRow(const SampleRows& a, int64_t row, float (&parts)[kWarps]) {
  float most = kLeast;
  for (int64_t block = cuda::ThreadIndex(); block < a.blocks; block += kWarps * cuda::kWarp) {
    most = cuda::Most(most, a.block_largest[row * a.blocks + block]);
  }
  return cuda::BlockMost(most, parts);
}

// The weight of an id, and s = (logit - largest) / T; T = 1 where the temperature is 0.
ATTNRL_DEVICE float InverseTemperature(const SampleRows& a, int64_t row) {
  return a.temperatures[row] == 0 ? 1.0F : static_cast<float>(1 / a.temperatures[row]);
}
ATTNRL_DEVICE float Scaled(float logit, float largest, float inverse_temperature) {
  return cuda::Times(cuda::Plus(logit, -largest), inverse_temperature);
}

// Block x * 16 + half-warp of row y. A lane has every sixteenth id, as the CPU's kernel.
struct WeighBlocks {
  using Arguments = SampleRows;
  static constexpr int kWarps = 8;
  static constexpr int kThreads = kWarps * cuda::kWarp;
  static constexpr int kLanes = 16;
  static constexpr int kBlocks = kThreads / kLanes;
  struct Shared {
    float parts[kWarps];
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const int64_t row = cuda::BlockY();
    const float largest = LargestOfRow(a, row, shared.parts);
    const float inverse = InverseTemperature(a, row);
    const int64_t block = int64_t{cuda::BlockX()} * kBlocks + cuda::ThreadIndex() / kLanes;
    const int lane = cuda::ThreadIndex() % kLanes;
    const int64_t end = cuda::Least((block + 1) * kSamplerBlock, a.vocabulary);
    float weight = 0;
    float weighted = 0;
    for (int64_t id = block * kSamplerBlock + lane; id < end; id += kLanes) {
      const float scaled = Scaled(a.logits[row * a.vocabulary + id], largest, inverse);
      const float each = cuda::HostExp(scaled);
      weight = cuda::Plus(weight, each);
      weighted = cuda::Fma(each, scaled, weighted);
    }
    for (int mask = kLanes / 2; mask > 0; mask /= 2) {
      weight = cuda::Plus(weight, cuda::ShuffleXor(weight, mask));
      weighted = cuda::Plus(weighted, cuda::ShuffleXor(weighted, mask));
    }
    if (lane != 0 || block >= a.blocks) return;
    a.block_weight[row * a.blocks + block] = weight;
    a.block_weighted[row * a.blocks + block] = weighted;
  }
};

// Row x.
struct DrawRows {
  using Arguments = SampleRows;
  static constexpr int kWarps = 8;
  static constexpr int kThreads = kWarps * cuda::kWarp;
  struct Shared {
    float weight[SampleRows::kMostBlocks];  // of blocks, then of the ids of one
    float weighted[SampleRows::kMostBlocks];
    float parts[kWarps];
    int64_t chosen[kWarps];
    double total;
    double entropy_sum;
    int64_t block;
    double share;
    int64_t id;
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const int64_t row = cuda::BlockX();
    const float largest = LargestOfRow(a, row, shared.parts);
    if (!(largest < kNotFinite)) {  // all threads
      if (cuda::ThreadIndex() < 3) a.drawn[row * 3 + cuda::ThreadIndex()] = -1;
      return;
    }
    for (int64_t block = cuda::ThreadIndex(); block < a.blocks; block += kThreads) {
      shared.weight[block] = a.block_weight[row * a.blocks + block];
      shared.weighted[block] = a.block_weighted[row * a.blocks + block];
    }
    cuda::SyncBlock();
    if (cuda::ThreadIndex() == 0) ChooseBlock(a, row, shared);
    if (cuda::ThreadIndex() == cuda::kWarp) {
      double sum = 0;
      for (int64_t block = 0; block < a.blocks; ++block) sum += shared.weighted[block];
      shared.entropy_sum = sum;
    }
    cuda::SyncBlock();
    if (a.temperatures[row] == 0) {
      LowestIdOf(a, row, largest, shared);
    } else {
      DrawInBlock(a, row, largest, shared);
    }
    if (cuda::ThreadIndex() == 0) Write(a, row, largest, shared);
  }

 private:
  // The first block whose running sum exceeds the target, the last one where rounding has left the
  // target at the very end; and the target as a share of it.
  ATTNRL_DEVICE static void ChooseBlock(const Arguments& a, int64_t row, Shared& shared) {
    double total = 0;
    for (int64_t block = 0; block < a.blocks; ++block) total += shared.weight[block];
    const double target = cuda::Times(a.uniforms[row], total);
    double before = 0;
    int64_t block = 0;
    for (; block + 1 < a.blocks; ++block) {
      const double next = before + shared.weight[block];
      if (next > target) break;
      before = next;
    }
    shared.total = total;
    shared.block = block;
    shared.share = (target - before) / shared.weight[block];
  }

  ATTNRL_DEVICE static void DrawInBlock(const Arguments& a, int64_t row, float largest,
                                        Shared& shared) {
    const float inverse = InverseTemperature(a, row);
    const int64_t first = shared.block * kSamplerBlock;
    const int64_t count = cuda::Least(kSamplerBlock, a.vocabulary - first);
    const float* const logits = a.logits + row * a.vocabulary + first;
    for (int64_t i = cuda::ThreadIndex(); i < count; i += kThreads) {
      shared.weight[i] = cuda::HostExp(Scaled(logits[i], largest, inverse));
    }
    cuda::SyncBlock();
    if (cuda::ThreadIndex() != 0) return;
    double total = 0;
    for (int64_t i = 0; i < count; ++i) total += shared.weight[i];
    const double target = cuda::Times(shared.share, total);
    double sum = 0;
    int64_t last = 0;
    for (int64_t i = 0; i < count; ++i) {
      sum += shared.weight[i];
      if (shared.weight[i] > 0) last = i;
      if (sum > target) break;
    }
    shared.id = first + last;
  }

  // The lowest id with the largest logit.
  ATTNRL_DEVICE static void LowestIdOf(const Arguments& a, int64_t row, float largest,
                                       Shared& shared) {
    int64_t block = a.blocks;
    for (int64_t b = a.blocks - 1 - cuda::ThreadIndex(); b >= 0; b -= kThreads) {
      if (a.block_largest[row * a.blocks + b] == largest) block = b;
    }
    block = -cuda::BlockMost(-block, shared.chosen);
    cuda::SyncBlock();  // `chosen` was read
    const int64_t end = cuda::Least((block + 1) * kSamplerBlock, a.vocabulary);
    int64_t id = a.vocabulary;
    for (int64_t i = end - 1 - cuda::ThreadIndex(); i >= block * kSamplerBlock; i -= kThreads) {
      if (a.logits[row * a.vocabulary + i] == largest) id = i;
    }
    id = -cuda::BlockMost(-id, shared.chosen);
    if (cuda::ThreadIndex() == 0) shared.id = id;
  }

  ATTNRL_DEVICE static void Write(const Arguments& a, int64_t row, float largest,
                                  const Shared& shared) {
    const double temperature = a.temperatures[row] == 0 ? 1 : a.temperatures[row];
    const double log_total = cuda::Log(shared.total);
    const double logit = a.logits[row * a.vocabulary + shared.id];
    const double scaled = (logit - static_cast<double>(largest)) / temperature;
    a.drawn[row * 3] = static_cast<double>(shared.id);
    a.drawn[row * 3 + 1] = static_cast<double>(static_cast<float>(scaled - log_total));
    a.drawn[row * 3 + 2] =
        static_cast<double>(static_cast<float>(log_total - shared.entropy_sum / shared.total));
  }
};

}  // namespace attnrl::rollout
