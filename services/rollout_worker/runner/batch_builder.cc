// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/batch_builder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>

namespace attnrl::rollout {

StepTensors BuildBatch(const StepPlan& plan, const attention::AttentionPlan& attention,
                       const BatchTarget& target, DeviceScores& scores, device::Upload& upload,
                       const std::optional<BatchRoom>& room) {
  upload.Clear();
  const int64_t rows = room ? room->rows : plan.rows();
  const device::Upload::Part ids = upload.Add(rows);
  const device::Upload::Part positions = upload.Add(rows);
  const device::Upload::Part sampled =
      upload.Add(room ? rows : static_cast<int64_t>(plan.samples.size()));
  std::copy(plan.ids.begin(), plan.ids.end(), upload.At(ids));
  int64_t* position = upload.At(positions);
  for (const attention::RowGroup& group : plan.groups) {
    for (int64_t row = 0; row < group.rows; ++row) *position++ = group.first_position + row;
  }
  int64_t* row = upload.At(sampled);
  for (const SampledRow& sample : plan.samples) *row++ = sample.row;
  StepTensors tensors;
  if (!target.device.is_cpu()) {
    const bool truncates = std::any_of(plan.samples.begin(), plan.samples.end(),
                                       [](const auto& s) { return Truncates(s.params); });
    if (target.draws_kept || !truncates)
      tensors.draws.emplace(plan.samples, upload, room ? rows : 0);
    if (room) {
      tensors.decode.emplace(attention, target.kernel_repeats, upload, plan.scored, rows,
                             room->nowhere);
    } else if (target.kernel_repeats > 0) {
      tensors.decode.emplace(attention, target.kernel_repeats, upload, plan.scored,
                             target.prompt_keys);
    } else {
      tensors.attention.emplace(attention, upload);
    }
    scores.Add(upload);  // last: how many there are moves nothing else
  }
  if (room) {
    upload.SendTo(room->place(upload.numbers()));
  } else {
    upload.Send(target.device);
  }
  tensors.ids = upload.Integers(ids);
  tensors.positions = upload.Integers(positions);
  tensors.sampled = upload.Integers(sampled);
  if (tensors.attention.has_value()) tensors.attention->Receive(upload);
  if (tensors.decode.has_value()) tensors.decode->Receive(upload);
  if (tensors.draws.has_value()) tensors.draws->Receive(upload);
  return tensors;
}

}  // namespace attnrl::rollout
