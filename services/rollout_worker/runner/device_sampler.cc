// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/device_sampler.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "common/base/philox.h"
#include "common/device/device.h"
#include "services/rollout_worker/sampling/kernel.h"

namespace attnrl::rollout {
namespace {

// The first place of each row at which its running sum exceeds the target, int64 [n, 1]; where
// rounding has left the target at the very end, the last place that adds anything. running [n,
// places] ascending, target [n, 1].
at::Tensor FirstBeyond(const at::Tensor& running, const at::Tensor& target) {
  const at::Tensor all = running.narrow(1, running.size(1) - 1, 1);
  return at::minimum(running.le(target).sum(1, /*keepdim=*/true),
                     running.lt(all).sum(1, /*keepdim=*/true));
}

}  // namespace

DeviceDraws::DeviceDraws(std::span<const SampledRow> rows, device::Upload& upload, int64_t room) {
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t size = std::max(room, count);
  uniform_part_ = upload.Add(size);
  temperature_part_ = upload.Add(size);
  truncates_ = std::any_of(rows.begin(), rows.end(),
                           [](const SampledRow& row) { return Truncates(row.params); });
  if (truncates_) {
    top_k_part_ = upload.Add(size);
    top_p_part_ = upload.Add(size);
  }
  int64_t i = 0;
  for (const SampledRow& row : rows) {
    if (truncates_) {
      upload.At(top_k_part_)[i] = row.params.top_k;
      upload.Set(top_p_part_, i, row.params.top_p);
    }
    upload.Set(uniform_part_, i, RandomUniform(row.key, row.index));
    upload.Set(temperature_part_, i, row.params.temperature);
    any_greedy_ = any_greedy_ || row.params.temperature == 0;
    ++i;
  }
  for (; i < size; ++i) {
    upload.Set(temperature_part_, i, 1);
    if (truncates_) upload.Set(top_p_part_, i, 1);
  }
}

void DeviceDraws::Receive(const device::Upload& upload) {
  uniforms_ = upload.Doubles(uniform_part_).unsqueeze(1);
  given_temperatures_ = upload.Doubles(temperature_part_).unsqueeze(1);
  temperatures_ = given_temperatures_;
  if (truncates_) {
    top_k_ = upload.Integers(top_k_part_);
    top_p_ = upload.Doubles(top_p_part_);
  }
  if (!any_greedy_) return;
  greedy_ = given_temperatures_.eq(0);
  temperatures_ = given_temperatures_.masked_fill(greedy_, 1);
}

at::Tensor DeviceDraws::Draw(const at::Tensor& logits, int64_t first) const {
  const int64_t rows = logits.size(0);
  const int64_t vocabulary = logits.size(1);
  const int64_t blocks = (vocabulary + kSamplerBlock - 1) / kSamplerBlock;
  const at::Tensor temperatures = temperatures_.narrow(0, first, rows);
  const auto [smallest, largest] = logits.aminmax(/*dim=*/1, /*keepdim=*/true);
  const at::Tensor scaled = (logits - largest).mul_(temperatures.reciprocal().to(at::kFloat));
  const at::Tensor exponentials = scaled.exp();
  const at::Tensor weights =
      at::constant_pad_nd(exponentials, {0, blocks * kSamplerBlock - vocabulary})
          .view({rows, blocks, kSamplerBlock});
  // The block.
  const at::Tensor sums = weights.sum(2, /*keepdim=*/false, at::kDouble);
  const at::Tensor running = sums.cumsum(1);
  const at::Tensor total = running.narrow(1, blocks - 1, 1);
  const at::Tensor target = uniforms_.narrow(0, first, rows) * total;
  const at::Tensor block = FirstBeyond(running, target);
  const at::Tensor before = at::constant_pad_nd(running, {1, 0}).gather(1, block);
  const at::Tensor share = (target - before) / sums.gather(1, block);
  // The id in it.
  const at::Tensor in_block =
      weights.gather(1, block.unsqueeze(2).expand({rows, 1, kSamplerBlock})).squeeze(1);
  const at::Tensor running_in_block = in_block.cumsum(1, at::kDouble);
  const at::Tensor place =
      FirstBeyond(running_in_block, share * running_in_block.narrow(1, kSamplerBlock - 1, 1));
  at::Tensor id = block * kSamplerBlock + place;
  if (any_greedy_) {
    // The first among equals.
    id = at::where(greedy_.narrow(0, first, rows), logits.argmax(1, /*keepdim=*/true), id);
  }
  // Its scores.
  const at::Tensor log_total = total.log();
  const at::Tensor chosen = logits.gather(1, id).to(at::kDouble) - largest.to(at::kDouble);
  const at::Tensor logprob = chosen / temperatures - log_total;
  const at::Tensor weighted = exponentials.mul(scaled).sum(1, /*keepdim=*/true, at::kDouble);
  const at::Tensor entropy = log_total - weighted / total;
  const at::Tensor finite = smallest.isfinite().logical_and_(largest.isfinite());
  return at::cat({id.to(at::kDouble).masked_fill_(finite.logical_not(), -1), logprob, entropy}, 1);
}

at::Tensor DeviceDraws::DrawBy(SampleLaunch launch, const at::Tensor& logits, int64_t first) const {
  const c10::DeviceGuard here(logits.device());
  const at::Tensor dense = logits.contiguous();
  const int64_t count = dense.size(0);
  const int64_t blocks = SampleRows::BlocksOf(dense.size(1));
  // Doubles come first, so that all are aligned.
  const at::Tensor scratch =
      at::empty({count * (blocks * SampleRows::kScratch + 4)}, dense.options().dtype(at::kByte));
  at::Tensor drawn = at::empty({count, 3}, dense.options().dtype(at::kDouble));
  auto* const kept = reinterpret_cast<double*>(scratch.mutable_data_ptr<uint8_t>());
  const int64_t all = count * blocks;
  auto* const sums = reinterpret_cast<float*>(kept + all);
  SampleRows rows{.logits = dense.const_data_ptr<float>(),
                  .vocabulary = dense.size(1),
                  .blocks = blocks,
                  .uniforms = uniforms_.const_data_ptr<double>() + first,
                  .temperatures = given_temperatures_.const_data_ptr<double>() + first,
                  .block_largest = sums,
                  .block_weight = sums + all,
                  .block_weighted = sums + 2 * all,
                  .drawn = drawn.mutable_data_ptr<double>()};
  if (truncates_) {
    rows.top_k = top_k_.const_data_ptr<int64_t>() + first;
    rows.top_p = top_p_.const_data_ptr<double>() + first;
    rows.block_kept = kept;
    rows.block_ties = reinterpret_cast<int32_t*>(sums + 3 * all);
    rows.least = sums + 4 * all;
  }
  if (const cuda::LaunchError error = launch(rows, count)) {
    throw std::runtime_error(std::string("the GPU: ") + error);
  }
  return drawn;
}

std::vector<SampledToken> FetchTokens(const at::Tensor& drawn) {
  // One copy into pinned memory and one wait, in which all of the step ends.
  const at::TensorOptions options =
      at::TensorOptions(at::kDouble).pinned_memory(device::PinsMemoryFor(drawn.device()));
  const at::Tensor host = at::empty(drawn.sizes(), options);
  host.copy_(drawn, /*non_blocking=*/true);
  if (!drawn.device().is_cpu()) {
    const c10::impl::VirtualGuardImpl guard(drawn.device().type());
    guard.synchronizeStream(guard.getStream(drawn.device()));
  }
  const auto* values = host.const_data_ptr<double>();
  std::vector<SampledToken> tokens(static_cast<size_t>(host.size(0)));
  for (SampledToken& token : tokens) {
    token.id = static_cast<int32_t>(*values++);
    const auto logprob = static_cast<float>(*values++);
    const auto entropy = static_cast<float>(*values++);
    if (token.id < 0) continue;  // as Sampler leaves it
    token.logprob = logprob;
    token.entropy = entropy;
  }
  return tokens;
}

}  // namespace attnrl::rollout
