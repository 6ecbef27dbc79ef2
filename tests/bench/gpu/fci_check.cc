// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "common/attention/cuda/fci_pass.h"
#include "common/attention/cuda/testing/fci_case.h"
#include "tests/bench/gpu/gpu_check.h"

namespace attnrl::bench {
namespace {

using attention::FciLayer;
using attention::FciPass;
using attention::FciSequence;
using attention::FciShape;
using attention::FciTiles;
using cuda::BFloat16;

// One layer of one sequence on the GPU.
template <typename T>
struct Fci {
  const FciTiles& of;
  const FciShape& shape;
  OnGpu<T> q, k;
  OnGpu<float> lse;
  int64_t rows = static_cast<int64_t>(of.share().size());
  OnGpu<attention::FciTile> tiles{of.tiles()};
  OnGpu<int32_t> first_query{of.first_query()};
  OnGpu<float> share{of.share()};
  OnGpu<attention::FciStep> steps{of.steps()};
  OnGpu<double> columns{static_cast<size_t>(shape.heads * rows)};
  OnGpu<float> scores{std::vector<float>(static_cast<size_t>(of.scores()), 0)};

  cuda::LaunchError Launch(cuda::Stream stream) const {
    const FciPass<T> pass{.tiles = tiles.get(),
                          .first_query = first_query.get(),
                          .share = share.get(),
                          .steps = steps.get(),
                          .step_count = static_cast<int32_t>(of.steps().size()),
                          .q = q.get(),
                          .k = k.get(),
                          .lse = lse.get(),
                          .rows = rows,
                          .heads = static_cast<int32_t>(shape.heads),
                          .kv_heads = static_cast<int32_t>(shape.kv_heads),
                          .scale = 1 / std::sqrt(static_cast<float>(shape.head_dim)),
                          .columns = columns.get(),
                          .scores = scores.get()};
    return LaunchFci(pass, static_cast<int64_t>(of.tiles().size()), shape.head_dim, stream);
  }
};

template <typename T>
void Compare(Table& table, const std::string& name, const FciShape& shape) {
  const FciSequence sequence = attention::Steps({20, 43, 1, 64, 1, 1, 130, 9, 200, 31});
  const int64_t rows = sequence.steps.back().second;
  RandomStream random({.seed = 21});
  const FciLayer layer = attention::RandomLayer<T>(random, rows, shape);
  FciTiles tiles({.delta = 2});
  tiles.Add(sequence);
  const Fci<T> fci{tiles, shape, OnGpu<T>(attention::To<T>(layer.q)),
                   OnGpu<T>(attention::To<T>(layer.k)),
                   OnGpu<float>(attention::LogSumExp(layer, rows))};
  Check(fci.Launch(nullptr), "FCI");
  const std::vector<float> scores = fci.scores.Fetch();
  const std::vector<double> expected = FciReference(layer, sequence, {.delta = 2}).scores;
  double worst = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    worst = std::max(worst, std::abs(scores[i] - expected[i]));
  }
  table.Add({"FCI", name, worst, 4e-6});
}

// Queries and keys of any kind, a log-sum-exp that keeps weights small.
void Time(Table& table, int64_t rows) {
  const FciShape shape{.heads = 12, .kv_heads = 2, .head_dim = 128};
  FciTiles tiles({.delta = 4});
  tiles.Add(attention::Steps(std::vector<int64_t>(static_cast<size_t>(rows / 32), 32)));
  const auto fill = [&](int64_t heads) {
    std::vector<BFloat16> x(static_cast<size_t>(rows * heads * shape.head_dim));
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = cuda::FromFloat<BFloat16>(static_cast<float>(i % 97) / 97 - 0.5F);
    }
    return OnGpu<BFloat16>(x);
  };
  const Fci<BFloat16> fci{
      tiles, shape, fill(shape.heads), fill(shape.kv_heads),
      OnGpu<float>(std::vector<float>(static_cast<size_t>(rows * shape.heads), 20))};
  const double seconds = SecondsOf([&](cuda::Stream stream) { return fci.Launch(stream); });
  table.Add({"FCI, one layer",
             std::to_string(rows) + " tokens, 12 on 2 heads of 128, bfloat16",
             {},
             0,
             seconds,
             static_cast<double>(rows * 14 * 128 * 2),
             static_cast<double>(rows * rows) * 12 * 128});
}

}  // namespace

void AddFci(Table& table) {
  for (const int64_t head_dim : {64, 128}) {
    const FciShape shape{.heads = 6, .kv_heads = 2, .head_dim = head_dim};
    const std::string name = "500 tokens, 6 on 2 heads of " + std::to_string(head_dim);
    Compare<float>(table, name + ", float32", shape);
    Compare<BFloat16>(table, name + ", bfloat16", shape);
  }
  Time(table, 2048);
  Time(table, 8192);
}

}  // namespace attnrl::bench
