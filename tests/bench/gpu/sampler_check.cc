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

using rollout::SamplingParams;

namespace {

// Of 64 rows the ids must be the host's; log-probs and entropies may differ by the log's rounding.
// `keeps`: half of the rows use top-k and top-p.
void CheckSampler(Table& table, int64_t vocabulary, bool keeps) {
  constexpr int64_t kRows = 64;
  RandomStream random({.seed = 3});
  std::vector<float> logits(static_cast<size_t>(kRows * vocabulary));
  for (float& logit : logits) logit = static_cast<float>(12 * random.Uniform() - 6);
  std::vector<SamplingParams> params;
  std::vector<double> uniforms, temperatures, top_p;
  std::vector<int64_t> top_k;
  for (int64_t row = 0; row < kRows; ++row) {
    SamplingParams each;
    each.temperature = row % 4 == 3 ? 0 : 0.4 + 0.2 * static_cast<double>(row % 4);
    if (keeps && row % 2 == 0) each.top_p = 0.95;
    if (keeps && row % 4 == 0) each.top_k = 50;
    params.push_back(each);
    uniforms.push_back(RandomUniform({.seed = static_cast<uint64_t>(row)}, 3));
    temperatures.push_back(each.temperature);
    top_p.push_back(each.top_p);
    top_k.push_back(each.top_k);
  }
  const int64_t blocks = SampleRows::BlocksOf(vocabulary);
  const OnGpu<float> logits_there(logits);
  const OnGpu<double> uniforms_there(uniforms), temperatures_there(temperatures),
      top_p_there(top_p);
  const OnGpu<int64_t> top_k_there(top_k);
  const auto scratch = static_cast<size_t>(kRows * blocks);
  const OnGpu<float> largest(scratch), weight(scratch), weighted(scratch), least(kRows);
  const OnGpu<double> kept(scratch), drawn_there(kRows * 3);
  const OnGpu<int32_t> ties(scratch);
  const SampleRows rows{.logits = logits_there.get(),
                        .vocabulary = vocabulary,
                        .blocks = blocks,
                        .uniforms = uniforms_there.get(),
                        .temperatures = temperatures_there.get(),
                        .top_k = keeps ? top_k_there.get() : nullptr,
                        .top_p = keeps ? top_p_there.get() : nullptr,
                        .block_largest = largest.get(),
                        .block_weight = weight.get(),
                        .block_weighted = weighted.get(),
                        .block_kept = kept.get(),
                        .block_ties = ties.get(),
                        .least = least.get(),
                        .drawn = drawn_there.get()};
  const double seconds =
      SecondsOf([&](cuda::Stream stream) { return LaunchSampleRows(rows, kRows, stream); });
  const std::vector<double> drawn = drawn_there.Fetch();
  rollout::Sampler sampler;
  double other_ids = 0, worst = 0;
  for (size_t row = 0; row < kRows; ++row) {
    const auto size = static_cast<size_t>(vocabulary);
    const rollout::SampledToken expected =
        sampler.Sample({logits.data() + row * size, size}, params[row], {.seed = row}, 3);
    if (static_cast<int32_t>(drawn[row * 3]) != expected.id) ++other_ids;
    worst = std::max({worst, std::abs(drawn[row * 3 + 1] - expected.logprob),
                      std::abs(drawn[row * 3 + 2] - expected.entropy)});
  }
  const std::string shape = "64 rows of " + std::to_string(vocabulary) +
                            (keeps ? ", 32 of them with top-p 0.95, 16 with top-k 50 too" : "");
  table.Add({"sampler, ids that are not the host's", shape, other_ids, 0});
  table.Add({"sampler, log-probs and entropies", shape, worst, 2e-6, seconds,
             static_cast<double>(2 * kRows * vocabulary) * sizeof(float)});
}

}  // namespace

void AddSampler(Table& table) {
  for (const int64_t vocabulary : {int64_t{1025}, int64_t{49152}, int64_t{151936}}) {
    CheckSampler(table, vocabulary, false);
    CheckSampler(table, vocabulary, true);
  }
}

}  // namespace attnrl::bench
