// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "common/attention/parallel.h"
#include "common/kernels/kernels.h"
#include "common/kernels/packed_matrix.h"
#include "common/model/cpu_operators.h"

namespace attnrl::model {
namespace {

using kernels::PackedMatrix;

bool IsDefined(const at::Tensor* tensor) { return tensor != nullptr && tensor->defined(); }

PackedMatrix Pack(const std::vector<LinearTensors>& maps, const std::vector<int64_t>& sizes) {
  const at::ScalarType dtype = maps[0].weight->scalar_type();
  const int64_t out = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  PackedMatrix matrix(
      dtype == at::kFloat ? PackedMatrix::Type::kFloat32 : PackedMatrix::Type::kBFloat16, out,
      maps[0].weight->size(1));
  int64_t first = 0;
  for (const LinearTensors& map : maps) {
    const at::Tensor dense = map.weight->detach().contiguous();
    if (dtype == at::kFloat) {
      matrix.Fill(first, dense.size(0), dense.const_data_ptr<float>());
    } else {
      const void* const bits = dense.const_data_ptr<at::BFloat16>();
      matrix.Fill(first, dense.size(0), static_cast<const uint16_t*>(bits));
    }
    first += dense.size(0);
  }
  return matrix;
}

// Float32, zeros for maps that have none; undefined where no map has one.
at::Tensor JoinBiases(const std::vector<LinearTensors>& maps) {
  const auto has = [](const LinearTensors& map) { return IsDefined(map.bias); };
  if (std::none_of(maps.begin(), maps.end(), has)) return {};
  std::vector<at::Tensor> biases;
  for (const LinearTensors& map : maps) {
    biases.push_back(has(map) ? map.bias->detach().to(at::kFloat)
                              : at::zeros({map.weight->size(0)}, at::TensorOptions(at::kFloat)));
  }
  return at::cat(biases);
}

std::vector<int64_t> Outputs(const std::vector<LinearTensors>& maps) {
  std::vector<int64_t> sizes;
  for (const LinearTensors& map : maps) sizes.push_back(map.weight->size(0));
  return sizes;
}

class PackedProjection final : public Projection {
 public:
  PackedProjection(const std::vector<LinearTensors>& maps, int64_t library_rows)
      : sizes_(Outputs(maps)),
        matrix_(Pack(maps, sizes_)),
        bias_(JoinBiases(maps)),
        library_rows_(matrix_.type() == PackedMatrix::Type::kBFloat16 ? library_rows : kNever) {
    if (library_rows_ != kNever) {
      std::vector<at::Tensor> weights;
      for (const LinearTensors& map : maps) weights.push_back(map.weight->detach());
      named_ = at::cat(weights);
      if (bias_.defined()) named_bias_ = bias_.to(at::kBFloat16);
    }
    for (const LinearTensors& map : maps) {
      *map.weight = at::Tensor();
      if (map.bias != nullptr) *map.bias = at::Tensor();
    }
  }

  std::vector<at::Tensor> Apply(const at::Tensor& x) const override {
    const at::Tensor y = x.size(0) >= library_rows_
                             ? at::linear(x.to(at::kBFloat16), named_, named_bias_).to(at::kFloat)
                             : Multiply(x.stride(1) == 1 ? x : x.contiguous());
    if (sizes_.size() == 1) return {y};
    return y.split_with_sizes(sizes_, -1);
  }

 private:
  // The panels are split over the threads, so that each weight is read by one of them; where there
  // are too few, the rows of a panel too. Neither shows in the bits.
  at::Tensor Multiply(const at::Tensor& x) const {
    constexpr int64_t kWorthAThread = int64_t{1} << 20;  // multiply-adds
    constexpr int64_t kWorthAMember = int64_t{1} << 16;
    constexpr int64_t kFewestRows = 96;
    constexpr int64_t kPanelsAThread = 4;
    const int64_t rows = x.size(0);
    const int64_t panels = matrix_.panels();
    at::Tensor y = at::detail::empty_cpu({rows, matrix_.out()}, at::kFloat);
    const kernels::Product whole = {
        .x = x.const_data_ptr<float>(),
        .x_stride = x.stride(0),
        .rows = rows,
        .matrix = matrix_.view(),
        .bias = bias_.defined() ? bias_.const_data_ptr<float>() : nullptr,
        .y = y.mutable_data_ptr<float>(),
        .y_stride = matrix_.out()};
    int64_t parts = 1;
    while (parts * panels < kPanelsAThread * at::get_num_threads() &&
           rows >= 2 * parts * kFewestRows) {
      parts *= 2;
    }
    const int64_t work = std::max(int64_t{1}, rows / parts * matrix_.in() * PackedMatrix::kPanel);
    const auto grain = [&](int64_t worth) { return (worth + work - 1) / work; };
    const auto multiply = [&](int64_t begin, int64_t end) {
      while (begin < end) {
        kernels::Product product = whole;
        const int64_t part = begin / panels;
        const int64_t row = rows * part / parts;
        product.x += row * product.x_stride;
        product.y += row * product.y_stride;
        product.rows = rows * (part + 1) / parts - row;
        product.first_panel = begin % panels;
        product.last_panel = std::min(panels, product.first_panel + end - begin);
        kernels::UsedKernels().multiply(product);
        begin += product.last_panel - product.first_panel;
      }
    };
    ParallelFor(parts * panels, grain(kWorthAThread), grain(kWorthAMember), multiply);
    return y;
  }

  std::vector<int64_t> sizes_;
  PackedMatrix matrix_;
  at::Tensor bias_;  // float32, or undefined
  int64_t library_rows_;
  at::Tensor named_;  // for LibTorch, bfloat16
  std::optional<at::Tensor> named_bias_;
};

}  // namespace

std::unique_ptr<const Projection> MakePackedProjection(const std::vector<LinearTensors>& maps,
                                                       int64_t library_rows) {
  return std::make_unique<PackedProjection>(maps, library_rows);
}

}  // namespace attnrl::model
