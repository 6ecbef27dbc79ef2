// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "services/rollout_worker/sampling/cuda/sample_rows.h"
#include "services/rollout_worker/sampling/sampler.h"
#include "tests/bench/gpu/gpu_check.h"

namespace attnrl::bench {

using rollout::SampleRows;

// Of 64 rows the ids must be the host's; log-probs and entropies may differ by the log's rounding.
void AddSampler(Table& table) {
  constexpr int64_t kRows = 64;
  for (const int64_t vocabulary : {int64_t{1025}, int64_t{49152}, int64_t{151936}}) {
    RandomStream random({.seed = 3});
    std::vector<float> logits(static_cast<size_t>(kRows * vocabulary));
    for (float& logit : logits) logit = static_cast<float>(12 * random.Uniform() - 6);
    std::vector<double> uniforms, temperatures;
    for (int64_t row = 0; row < kRows; ++row) {
      uniforms.push_back(RandomUniform({.seed = static_cast<uint64_t>(row)}, 3));
      temperatures.push_back(row % 4 == 3 ? 0 : 0.4 + 0.2 * static_cast<double>(row % 4));
    }
    const int64_t blocks = SampleRows::BlocksOf(vocabulary);
    const OnGpu<float> logits_there(logits);
    const OnGpu<double> uniforms_there(uniforms), temperatures_there(temperatures);
    const auto scratch = static_cast<size_t>(kRows * blocks);
    const OnGpu<float> largest(scratch), weight(scratch), weighted(scratch);
    const OnGpu<double> drawn_there(kRows * 3);
    const SampleRows rows{.logits = logits_there.get(),
                          .vocabulary = vocabulary,
                          .blocks = blocks,
                          .uniforms = uniforms_there.get(),
                          .temperatures = temperatures_there.get(),
                          .block_largest = largest.get(),
                          .block_weight = weight.get(),
                          .block_weighted = weighted.get(),
                          .drawn = drawn_there.get()};
    const double seconds =
        SecondsOf([&](cuda::Stream stream) { return LaunchSampleRows(rows, kRows, stream); });
    const std::vector<double> drawn = drawn_there.Fetch();
    rollout::Sampler sampler;
    double other_ids = 0, worst = 0;
    for (size_t row = 0; row < kRows; ++row) {
      const auto size = static_cast<size_t>(vocabulary);
      const rollout::SampledToken expected = sampler.Sample(
          {logits.data() + row * size, size}, {.temperature = temperatures[row]}, {.seed = row}, 3);
      if (static_cast<int32_t>(drawn[row * 3]) != expected.id) ++other_ids;
      worst = std::max({worst, std::abs(drawn[row * 3 + 1] - expected.logprob),
                        std::abs(drawn[row * 3 + 2] - expected.entropy)});
    }
    const std::string shape = "64 rows of " + std::to_string(vocabulary);
    table.Add({"sampler, ids that are not the host's", shape, other_ids, 0});
    table.Add({"sampler, log-probs and entropies", shape, worst, 2e-6, seconds,
               static_cast<double>(2 * kRows * vocabulary) * sizeof(float)});
  }
}

}  // namespace attnrl::bench
