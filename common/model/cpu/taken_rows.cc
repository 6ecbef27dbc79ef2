// SPDX-License-Identifier: Apache-2.0
#include "common/model/cpu/taken_rows.h"

#include <ATen/ATen.h>
#include <c10/util/SmallVector.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "common/model/cpu/row_parts.h"

namespace attnrl::model {
namespace {

void TakeRow(const float* from, int64_t n, float* to) {
  std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
}

void TakeRow(const at::BFloat16* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = std::bit_cast<float>(uint32_t{from[i].x} << 16);
}

}  // namespace

at::Tensor TakeRows(const at::Tensor& table, const at::Tensor& ids) {
  if (!table.is_cpu()) return table.index_select(0, ids);
  TORCH_CHECK(table.is_contiguous() && ids.is_contiguous() &&
                  (table.scalar_type() == at::kFloat || table.scalar_type() == at::kBFloat16),
              "rows of dense float32 or bfloat16 are taken by dense ids");
  const int64_t rows = table.size(0);
  const int64_t n = table.numel() / rows;
  c10::SmallVector<int64_t, 4> sizes(table.sizes().begin(), table.sizes().end());
  sizes.front() = ids.size(0);
  at::Tensor taken = EmptyFloats(sizes);
  float* const target = taken.mutable_data_ptr<float>();
  const auto* const wanted = ids.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < ids.size(0); ++i) {
    TORCH_CHECK_INDEX(wanted[i] >= 0 && wanted[i] < rows, "no row ", wanted[i], " of ", rows);
  }
  const auto take = [&](const auto* from) {
    ForRows(ids.size(0), n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) TakeRow(from + wanted[i] * n, n, target + i * n);
    });
  };
  if (table.scalar_type() == at::kFloat) {
    take(table.const_data_ptr<float>());
  } else {
    take(table.const_data_ptr<at::BFloat16>());
  }
  return taken;
}

}  // namespace attnrl::model
