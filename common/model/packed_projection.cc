// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include <memory>
#include <numeric>

#include "common/attention/parallel.h"
#include "common/device/kept_tensors.h"
#include "common/kernels/bfloat16/bfloat16_kernels.h"
#include "common/kernels/kernels.h"
#include "common/kernels/packed_matrix.h"
#include "common/model/cpu/product_parts.h"
#include "common/model/cpu/row_parts.h"
#include "common/model/cpu_operators.h"

namespace attnrl::model {
namespace {

using kernels::BFloat16Kernels;
using kernels::PackedMatrix;
using kernels::PairsOf;
using kernels::ProductOf;
using kernels::UsedKernels;

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
  PackedProjection(const std::vector<LinearTensors>& maps, const BFloat16Kernels* bfloat16)
      : sizes_(Outputs(maps)),
        head_dim_(maps.front().head_dim),
        matrix_(Pack(maps, sizes_)),
        bias_(JoinBiases(maps)),
        bfloat16_(matrix_.type() == PackedMatrix::Type::kBFloat16 ? bfloat16 : nullptr) {
    for (const LinearTensors& map : maps) {
      *map.weight = at::Tensor();
      if (map.bias != nullptr) *map.bias = at::Tensor();
    }
  }

  Products Apply(const at::Tensor& x) const override {
    const at::Tensor dense = DenseRows(x);
    const auto* const data = dense.const_data_ptr<float>();
    device::KeptTensors::Parts y = device::KeptTensors::EmptyParts(x.size(0), sizes_, head_dim_);
    if (bfloat16_ == nullptr) {
      Multiply(data, dense.stride(0), UsedKernels().multiply, y.whole);
    } else {
      const at::Tensor pairs = Round(data, dense.stride(0), x.size(0));
      const void* const words = pairs.const_data_ptr();
      Multiply(static_cast<const uint32_t*>(words), PairsOf(matrix_.in()), bfloat16_->multiply,
               y.whole);
    }
    return Products(y.parts.begin(), y.parts.begin() + static_cast<ptrdiff_t>(sizes_.size()));
  }

 private:
  // x [rows, in] in words of two bfloat16 numbers, [rows, PairsOf(in)].
  at::Tensor Round(const float* x, int64_t x_stride, int64_t rows) const {
    constexpr int64_t kWorthAThread = int64_t{1} << 16;  // inputs
    constexpr int64_t kWorthAMember = int64_t{1} << 13;
    const int64_t in = matrix_.in();
    const int64_t words = PairsOf(in);
    at::Tensor pairs = device::KeptTensors::Empty({rows, words}, at::kInt);
    auto* const target = static_cast<uint32_t*>(pairs.mutable_data_ptr());
    const auto grain = [&](int64_t worth) { return (worth + in - 1) / in; };
    ParallelFor(rows, grain(kWorthAThread), grain(kWorthAMember), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        bfloat16_->round(x + row * x_stride, in, target + row * words);
      }
    });
    return pairs;
  }

  template <typename Input>
  void Multiply(const Input* x, int64_t x_stride, void (*kernel)(const ProductOf<Input>&),
                const at::Tensor& y) const {
    MultiplyInParts<Input>({.x = x,
                            .x_stride = x_stride,
                            .rows = y.size(0),
                            .matrix = matrix_.view(),
                            .bias = bias_.defined() ? bias_.const_data_ptr<float>() : nullptr,
                            .y = y.mutable_data_ptr<float>(),
                            .y_stride = matrix_.out()},
                           kernel);
  }

  std::vector<int64_t> sizes_;
  int64_t head_dim_;
  PackedMatrix matrix_;
  at::Tensor bias_;                  // float32, or undefined
  const BFloat16Kernels* bfloat16_;  // or null
};

}  // namespace

std::unique_ptr<const Projection> MakePackedProjection(const std::vector<LinearTensors>& maps,
                                                       const BFloat16Kernels* kernels) {
  return std::make_unique<PackedProjection>(maps, kernels);
}

}  // namespace attnrl::model
