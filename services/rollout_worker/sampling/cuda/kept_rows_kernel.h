// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which ids top-k and top-p keep, on a GPU: the smallest logit that is kept and how many that equal
// it, found as the CPU finds them, by the leading bits of the logits' order, without sorting. Whole
// numbers count and weigh, so it doesn't matter which thread adds first. A row's block of threads
// reads its logits three times for each of top-k and top-p, from the second-level cache.
#include "common/kernels/cuda/exponential.h"
#include "common/kernels/cuda/kernel_language.h"
#include "services/rollout_worker/sampling/cuda/sample_rows.h"
#include "services/rollout_worker/sampling/cuda/sampled_row.h"

namespace attnrl::rollout {

// Row x.
struct FindKept {
  using Arguments = SampleRows;
  static constexpr int kWarps = 16;
  static constexpr int kThreads = kWarps * cuda::kWarp;
  static constexpr int kBits = 11;
  static constexpr int kBuckets = 1 << kBits;
  static constexpr int kEach = kBuckets / cuda::kWarp;  // buckets of a lane
  static constexpr uint64_t kNoLimit = ~uint64_t{0};
  static constexpr uint32_t kOrderOfLeast = 0x007FFFFF;  // of kLeast

  struct Shared {
    uint64_t masses[kBuckets];
    int32_t counts[kBuckets];
    float parts[kWarps];
    uint64_t sums[kWarps];
    // What is known of the smallest logit that is kept: its order's leading bits, and how many
    // ids, of which mass, are above all that begin so.
    uint32_t prefix;
    int64_t above;
    uint64_t mass;
    int64_t ties;
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const SampledRowView row(a, cuda::BlockX(), LargestOfRow(a, cuda::BlockX(), shared.parts));
    if (!row.truncates()) return;  // all threads
    const int64_t k = a.top_k[cuda::BlockX()];
    const double p = a.top_p[cuda::BlockX()];
    const int64_t count = k > 0 ? cuda::Least(k, a.vocabulary) : a.vocabulary;
    if (cuda::ThreadIndex() == 0) {
      // A wide top-k keeps all.
      shared.prefix = kOrderOfLeast;
      shared.ties = 0;
    }
    if (count < a.vocabulary) {
      Largest(a, row, count, kNoLimit, shared);
    } else {
      const uint64_t mass = MassOfAll(a, row, shared);
      if (cuda::ThreadIndex() == 0) shared.mass = mass;
    }
    cuda::SyncBlock();
    if (p < 1) {
      const double mass = cuda::RoundUp(cuda::Times(p, static_cast<double>(shared.mass)));
      cuda::SyncBlock();  // `mass` was read
      Largest(a, row, count, static_cast<uint64_t>(mass), shared);
    }
    cuda::SyncBlock();
    ShareOutTies(a, row, shared);
  }

 private:
  ATTNRL_DEVICE static uint64_t MassOf(const SampledRowView& row, int64_t id) {
    return static_cast<uint64_t>(row.Weight(id) * kMassUnits);
  }

  ATTNRL_DEVICE static uint64_t MassOfAll(const Arguments& a, const SampledRowView& row,
                                          Shared& shared) {
    uint64_t mass = 0;
    for (int64_t id = cuda::ThreadIndex(); id < a.vocabulary; id += kThreads) {
      mass += MassOf(row, id);
    }
    return cuda::BlockSum(mass, shared.sums);
  }

  // The fewest largest logits that are `count` or whose weights reach `mass`.
  ATTNRL_DEVICE static void Largest(const Arguments& a, const SampledRowView& row, int64_t count,
                                    uint64_t mass, Shared& shared) {
    if (cuda::ThreadIndex() == 0) {
      shared.prefix = 0;
      shared.above = 0;
      shared.mass = 0;
    }
    // 11 bits, 11 bits and the last 10; ids that begin otherwise are out.
    int known = 32;
    for (int shift = 32 - kBits;; shift = cuda::Most(0, shift - kBits)) {
      for (int i = cuda::ThreadIndex(); i < kBuckets; i += kThreads) {
        shared.masses[i] = 0;
        shared.counts[i] = 0;
      }
      cuda::SyncBlock();
      const uint32_t prefix = shared.prefix;
      for (int64_t id = cuda::ThreadIndex(); id < a.vocabulary; id += kThreads) {
        const uint32_t order = row.Order(id);
        if (known < 32 && order >> known != prefix) continue;
        const uint32_t bucket = order >> shift & (kBuckets - 1);
        cuda::AddShared(&shared.counts[bucket], 1);
        cuda::AddShared(&shared.masses[bucket], MassOf(row, id));
      }
      cuda::SyncBlock();
      if (cuda::WarpIndex() == 0) ChooseBucket(count, mass, shift, shared);
      cuda::SyncBlock();
      known = shift;
      if (shift == 0) return;
    }
  }

  // The first bucket from above with which the count or the mass is reached; what is above it is
  // added. The last time, all ids of the bucket are equal: as many of them as are needed.
  ATTNRL_DEVICE static void ChooseBucket(int64_t count, uint64_t mass, int shift, Shared& shared) {
    const int top = kBuckets - 1 - cuda::LaneIndex() * kEach;
    int64_t counted = 0;
    uint64_t weighed = 0;
    for (int i = 0; i < kEach; ++i) {
      counted += shared.counts[top - i];
      weighed += shared.masses[top - i];
    }
    // What lies above this lane's buckets.
    int64_t above = shared.above;
    uint64_t mass_above = shared.mass;
    for (int lane = 0; lane < cuda::kWarp; ++lane) {
      const int64_t others = cuda::ShuffleFrom(counted, lane);
      const uint64_t other_mass = cuda::ShuffleFrom(weighed, lane);
      if (lane < cuda::LaneIndex()) {
        above += others;
        mass_above += other_mass;
      }
    }
    const auto reached = [&](int64_t n, uint64_t m) { return n >= count || m >= mass; };
    if (reached(above, mass_above) || !reached(above + counted, mass_above + weighed)) return;
    for (int i = 0; i < kEach; ++i) {
      const int bucket = top - i;
      const int32_t here = shared.counts[bucket];
      const uint64_t mass_here = shared.masses[bucket];
      if (!reached(above + here, mass_above + mass_here)) {
        above += here;
        mass_above += mass_here;
        continue;
      }
      // The last step's buckets overlap the one before by a bit that all have in common.
      const uint32_t bits = static_cast<uint32_t>(bucket);
      shared.prefix =
          shift == 0 ? (shared.prefix << (32 - 2 * kBits) | (bits & ((1U << (32 - 2 * kBits)) - 1)))
                     : (shared.prefix << kBits | bits);
      if (shift == 0) {
        const uint64_t each = mass_here / static_cast<uint64_t>(here);
        const int64_t ties =
            Ties(here, count - above, above == 0, each, mass > mass_above ? mass - mass_above : 0);
        shared.ties = ties;
        above += ties;
        mass_above += static_cast<uint64_t>(ties) * each;
      }
      shared.above = above;
      shared.mass = mass_above;
      return;
    }
  }

  // How many of `equal` ids of weight `each`: until `count` or `mass` is reached, at least one
  // where nothing is above them.
  ATTNRL_DEVICE static int64_t Ties(int64_t equal, int64_t count, bool first, uint64_t each,
                                    uint64_t mass) {
    int64_t ties = cuda::Least(equal, count);
    if (mass == 0) return first ? 1 : 0;
    if (each == 0) return ties;
    const uint64_t needed = (mass - 1) / each + 1;
    return needed < static_cast<uint64_t>(ties) ? static_cast<int64_t>(needed) : ties;
  }

  // The lowest ids are kept: each block learns how many of its own may be.
  ATTNRL_DEVICE static void ShareOutTies(const Arguments& a, const SampledRowView& row,
                                         Shared& shared) {
    const float least = FromOrder(shared.prefix);
    int32_t* const equal = shared.counts;  // by block
    for (int64_t block = cuda::WarpIndex(); block < a.blocks; block += kWarps) {
      const int64_t end = cuda::Least((block + 1) * kSamplerBlock, a.vocabulary);
      int32_t count = 0;
      for (int64_t id = block * kSamplerBlock + cuda::LaneIndex(); id < end; id += cuda::kWarp) {
        if (row.Logit(id) == least) ++count;
      }
      count = cuda::WarpSum(count);
      if (cuda::LaneIndex() == 0) equal[block] = count;
    }
    cuda::SyncBlock();
    if (cuda::ThreadIndex() != 0) return;
    int64_t left = shared.ties;
    for (int64_t block = 0; block < a.blocks; ++block) {
      a.block_ties[cuda::BlockX() * a.blocks + block] =
          static_cast<int32_t>(cuda::Least<int64_t>(left, equal[block]));
      left -= cuda::Least<int64_t>(left, equal[block]);
    }
    a.least[cuda::BlockX()] = least;
  }

  ATTNRL_DEVICE static float FromOrder(uint32_t order) {
    return cuda::FloatOf((order >> 31) != 0 ? order & 0x7FFFFFFFU : ~order);
  }
};

// Block x * 8 + warp of row y: the sum of the weights that are kept, one after the other as the CPU
// adds them.
struct WeighKept {
  using Arguments = SampleRows;
  static constexpr int kWarps = 8;
  static constexpr int kThreads = kWarps * cuda::kWarp;
  struct Shared {
    float weights[kWarps][kSamplerBlock];
    float parts[kWarps];
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const SampledRowView row(a, cuda::BlockY(), LargestOfRow(a, cuda::BlockY(), shared.parts));
    const int64_t block = int64_t{cuda::BlockX()} * kWarps + cuda::WarpIndex();
    if (!row.truncates() || block >= a.blocks) return;  // the whole warp
    float* const weights = shared.weights[cuda::WarpIndex()];
    const int64_t first = block * kSamplerBlock;
    const int64_t count = cuda::Least(kSamplerBlock, a.vocabulary - first);
    const float least = a.least[cuda::BlockY()];
    for (int64_t i = cuda::LaneIndex(); i < count; i += cuda::kWarp) {
      weights[i] = row.KeptWeight(first + i, least);
    }
    cuda::SyncWarp();
    if (cuda::LaneIndex() != 0) return;
    const int64_t at = cuda::BlockY() * a.blocks + block;
    SettleTies(weights, count, a.block_ties[at]);
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += weights[i];
    a.block_kept[at] = sum;
  }
};

}  // namespace attnrl::rollout
