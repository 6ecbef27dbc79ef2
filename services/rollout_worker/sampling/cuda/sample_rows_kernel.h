// SPDX-License-Identifier: Apache-2.0
#pragma once

// The sampler's definition on a GPU: the largest logit of each block of ids, then the blocks' sums,
// then the draw of each row. Logits are read twice, in rows of 64 or 128 bytes; the draw reads one
// block again. Its sums in float64 have one order, so one thread adds them up, 150 and then up to
// 2,048 numbers of shared memory, while the other rows do the same.
#include "common/kernels/cuda/exponential.h"
#include "common/kernels/cuda/kernel_language.h"
#include "services/rollout_worker/sampling/cuda/sample_rows.h"
#include "services/rollout_worker/sampling/cuda/sampled_row.h"

namespace attnrl::rollout {

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
    const SampledRowView view(a, row, LargestOfRow(a, row, shared.parts));
    const int64_t block = int64_t{cuda::BlockX()} * kBlocks + cuda::ThreadIndex() / kLanes;
    const int lane = cuda::ThreadIndex() % kLanes;
    const int64_t end = cuda::Least((block + 1) * kSamplerBlock, a.vocabulary);
    float weight = 0;
    float weighted = 0;
    for (int64_t id = block * kSamplerBlock + lane; id < end; id += kLanes) {
      const float scaled = view.Scaled(id);
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
    double drawn_from[SampleRows::kMostBlocks];  // the blocks' weights, of what is kept
    float weight[SampleRows::kMostBlocks];       // of blocks, then of the ids of one
    float weighted[SampleRows::kMostBlocks];
    float parts[kWarps];
    int64_t chosen[kWarps];
    double total;  // of all ids, kept or not
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
    const SampledRowView view(a, row, largest);
    for (int64_t block = cuda::ThreadIndex(); block < a.blocks; block += kThreads) {
      const int64_t at = row * a.blocks + block;
      shared.weight[block] = a.block_weight[at];
      shared.weighted[block] = a.block_weighted[at];
      shared.drawn_from[block] = view.truncates() ? a.block_kept[at] : double{a.block_weight[at]};
    }
    cuda::SyncBlock();
    // Sums whose order counts: a thread of another warp for each.
    if (cuda::ThreadIndex() == 0) ChooseBlock(a, row, shared);
    if (cuda::ThreadIndex() == cuda::kWarp) {
      shared.entropy_sum = SumOf(shared.weighted, a.blocks);
    }
    if (cuda::ThreadIndex() == 2 * cuda::kWarp) shared.total = SumOf(shared.weight, a.blocks);
    cuda::SyncBlock();
    if (a.temperatures[row] == 0) {
      LowestIdOf(a, row, largest, shared);
    } else {
      DrawInBlock(a, row, view, shared);
    }
    if (cuda::ThreadIndex() == 0) Write(a, row, largest, shared);
  }

 private:
  ATTNRL_DEVICE static double SumOf(const float* numbers, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += numbers[i];
    return sum;
  }

  // The first block whose running sum exceeds the target, the last one where rounding has left the
  // target at the very end; and the target as a share of it.
  ATTNRL_DEVICE static void ChooseBlock(const Arguments& a, int64_t row, Shared& shared) {
    double total = 0;
    for (int64_t block = 0; block < a.blocks; ++block) total += shared.drawn_from[block];
    const double target = cuda::Times(a.uniforms[row], total);
    double before = 0;
    int64_t block = 0;
    for (; block + 1 < a.blocks; ++block) {
      const double next = before + shared.drawn_from[block];
      if (next > target) break;
      before = next;
    }
    shared.block = block;
    shared.share = (target - before) / shared.drawn_from[block];
  }

  ATTNRL_DEVICE static void DrawInBlock(const Arguments& a, int64_t row, const SampledRowView& view,
                                        Shared& shared) {
    const int64_t first = shared.block * kSamplerBlock;
    const int64_t count = cuda::Least(kSamplerBlock, a.vocabulary - first);
    for (int64_t i = cuda::ThreadIndex(); i < count; i += kThreads) {
      shared.weight[i] =
          view.truncates() ? view.KeptWeight(first + i, a.least[row]) : view.Weight(first + i);
    }
    cuda::SyncBlock();
    if (cuda::ThreadIndex() != 0) return;
    if (view.truncates()) {
      SettleTies(shared.weight, count, a.block_ties[row * a.blocks + shared.block]);
    }
    const double total = SumOf(shared.weight, count);
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
