// SPDX-License-Identifier: Apache-2.0
#include "common/model/cpu/taken_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace attnrl::model {
namespace {

TEST(TakeRows, TakesRowsOfAnyShapeInFloat32) {
  const at::Tensor table = at::sin(at::arange(7 * 6).to(at::kFloat)).view({7, 1, 6});
  const at::Tensor ids = at::tensor(std::vector<int64_t>{6, 0, 6, 3});
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor typed = table.to(type);
    const at::Tensor taken = TakeRows(typed, ids);
    EXPECT_EQ(taken.scalar_type(), at::kFloat);
    EXPECT_TRUE(at::equal(taken, typed.index_select(0, ids).to(at::kFloat)));
  }
  EXPECT_EQ(TakeRows(table, ids.narrow(0, 0, 0)).sizes(), (std::vector<int64_t>{0, 1, 6}));
}

TEST(TakeRows, RefusesARowThatIsNotThere) {
  const at::Tensor table = at::zeros({7, 6});
  for (const int64_t id : {-1, 7}) {
    EXPECT_THROW(TakeRows(table, at::tensor(std::vector<int64_t>{0, id})), c10::IndexError) << id;
  }
}

}  // namespace
}  // namespace attnrl::model
