// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/fci_attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/DeviceGuard.h>

#include <cmath>
#include <stdexcept>
#include <string>

namespace attnrl::attention {

bool GpuFciAttention::Fits(int64_t head_dim, at::ScalarType dtype) {
  return (head_dim == 64 || head_dim == 128) && (dtype == at::kFloat || dtype == at::kBFloat16);
}

GpuFciAttention::GpuFciAttention(const std::vector<FciSequence>& sequences, int64_t layers,
                                 const FciOptions& options, at::Device device,
                                 const FciKernels& kernels)
    : layers_(layers), kernels_(kernels) {
  FciTiles tiles(options);
  for (const FciSequence& sequence : sequences) {
    tiles.Add(sequence);
    rows_.push_back(sequence.steps.back().second);
    steps_.push_back(static_cast<int64_t>(sequence.steps.size()));
  }
  tile_count_ = static_cast<int64_t>(tiles.tiles().size());
  step_count_ = static_cast<int64_t>(tiles.steps().size());
  device::Upload upload;
  const auto tile_part = AddArray(tiles.tiles(), upload);
  const auto query_part = AddArray(tiles.first_query(), upload);
  const auto share_part = AddArray(tiles.share(), upload);
  const auto step_part = AddArray(tiles.steps(), upload);
  upload.Send(device);
  tiles_ = upload.Integers(tile_part);
  first_query_ = upload.Integers(query_part);
  share_ = upload.Integers(share_part);
  scored_steps_ = upload.Integers(step_part);
  scores_ = at::zeros({tiles.scores()}, at::TensorOptions(at::kFloat).device(device));
}

at::Tensor GpuFciAttention::Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                    const at::Tensor& v) {
  at::NoGradGuard no_grad;
  const at::Tensor queries = q.contiguous();
  const at::Tensor keys = k.contiguous();
  const bool with_output = layer + 1 < layers_;
  const int64_t repeats = q.size(1) / k.size(1);
  const at::Tensor out = with_output ? at::empty_like(queries) : at::Tensor();
  const at::Tensor lse = at::empty({q.size(0), q.size(1)}, q.options().dtype(at::kFloat));
  int64_t first = 0;
  for (const int64_t rows : rows_) {
    const auto repeated = [&](const at::Tensor& x) {
      return x.narrow(0, first, rows)
          .unsqueeze(2)
          .expand({rows, x.size(1), repeats, x.size(2)})
          .flatten(1, 2);
    };
    const FciKernels::Attended attended =
        kernels_.Attend(queries.narrow(0, first, rows), repeated(keys), repeated(v));
    lse.narrow(0, first, rows).copy_(attended.lse.t());
    if (with_output) out.narrow(0, first, rows).copy_(attended.out);
    first += rows;
  }
  const cuda::LaunchError error = queries.scalar_type() == at::kFloat
                                      ? Score<float>(queries, keys, lse)
                                      : Score<cuda::BFloat16>(queries, keys, lse);
  if (error != nullptr) throw std::runtime_error(std::string("the GPU: ") + error);
  return out;
}

template <typename T>
cuda::LaunchError GpuFciAttention::Score(const at::Tensor& q, const at::Tensor& k,
                                         const at::Tensor& lse) const {
  const c10::DeviceGuard here(q.device());
  const at::Tensor columns = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kDouble));
  const FciPass<T> pass{.tiles = static_cast<const FciTile*>(tiles_.const_data_ptr()),
                        .first_query = static_cast<const int32_t*>(first_query_.const_data_ptr()),
                        .share = static_cast<const float*>(share_.const_data_ptr()),
                        .steps = static_cast<const FciStep*>(scored_steps_.const_data_ptr()),
                        .step_count = static_cast<int32_t>(step_count_),
                        .q = static_cast<const T*>(q.const_data_ptr()),
                        .k = static_cast<const T*>(k.const_data_ptr()),
                        .lse = lse.const_data_ptr<float>(),
                        .rows = q.size(0),
                        .heads = static_cast<int32_t>(q.size(1)),
                        .kv_heads = static_cast<int32_t>(k.size(1)),
                        .scale = 1.0F / std::sqrt(static_cast<float>(q.size(2))),
                        .columns = columns.mutable_data_ptr<double>(),
                        .scores = scores_.mutable_data_ptr<float>()};
  return kernels_.Score(pass, tile_count_, q.size(2));
}

std::vector<std::vector<float>> GpuFciAttention::Scores() const {
  const at::Tensor all = scores_.to(at::kCPU);
  const auto* next = all.const_data_ptr<float>();
  std::vector<std::vector<float>> scores;
  for (const int64_t steps : steps_) {
    scores.emplace_back(next, next + steps);
    next += steps;
  }
  return scores;
}

}  // namespace attnrl::attention
