// SPDX-License-Identifier: Apache-2.0
// The memory of dense attention, on a device that counts bytes and computes nothing.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "common/attention/dense_attention.h"
#include "common/device/testing/dry_device.h"

namespace attnrl::attention {
namespace {

// A response of `length` rows, and for each point another that goes on alone behind so many of its
// rows.
struct Tree {
  std::vector<int64_t> lengths, row_of;

  Tree(int64_t length, const std::vector<int64_t>& points) {
    lengths.assign(1 + points.size(), length);
    for (int64_t i = 0; i < length; ++i) row_of.push_back(i);
    int64_t next = length;
    for (const int64_t point : points) {
      for (int64_t i = 0; i < length; ++i) row_of.push_back(i < point ? i : next++);
    }
  }
  int64_t rows() const { return 1 + *std::max_element(row_of.begin(), row_of.end()); }
};

void ExpectMeasured(const Tree& tree) {
  const at::Device device = device::DryDevice(int64_t{1} << 40);
  const DenseHeads heads = {.query = 12, .kv = 2, .dim = 64, .element = 4};
  const auto leaf = [&](int64_t count) {
    return at::empty({tree.rows(), count, heads.dim}, at::device(device)).set_requires_grad(true);
  };
  const at::Tensor q = leaf(heads.query), k = leaf(heads.kv), v = leaf(heads.kv);
  const DenseMemory memory = DenseMemoryOf(DenseSequences(tree.lengths, tree.row_of), heads);
  DenseAttention attention(tree.lengths, tree.row_of);
  device::ResetDryPeak();
  const int64_t before = device::DryBytes();
  const at::Tensor result = attention.Forward(0, q, k, v);
  const int64_t own = static_cast<int64_t>(result.nbytes());
  const int64_t kept = device::DryBytes() - before - own;
  EXPECT_NEAR(static_cast<double>(kept), static_cast<double>(memory.layout + memory.call),
              0.05 * static_cast<double>(kept));
  result.backward(at::empty_like(result));
  // Results and gradients of arguments are counted elsewhere.
  const int64_t elsewhere = 2 * own + static_cast<int64_t>(q.nbytes() + k.nbytes() + v.nbytes());
  const int64_t most = device::DryPeak() - before - elsewhere;
  EXPECT_LE(most, memory.Total(1) * 11 / 10);
  EXPECT_GE(most, memory.Total(1) / 2);
}

TEST(DenseMemory, IsWhatItTakesOfADevice) {
  ExpectMeasured({1001, {}});
  ExpectMeasured({1001, {10, 10, 20}});      // rows under masks
  ExpectMeasured({1001, {990, 990, 1000}});  // keys that are shown four times
}

}  // namespace
}  // namespace attnrl::attention
