// SPDX-License-Identifier: Apache-2.0
#include "common/device/testing/dry_device.h"

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <vector>

namespace attnrl::device {
namespace {

struct Account {
  int64_t total = 0;
  int64_t used = 0;
  int64_t peak = 0;

  void Change(int64_t bytes) {
    TORCH_CHECK_WITH(OutOfMemoryError, used + bytes <= total, "the dry device has ", total - used,
                     " bytes left, not ", bytes);
    used += bytes;
    peak = std::max(peak, used);
  }
};

Account& TheAccount() {
  static Account& account = *new Account;  // tensors may outlive static objects
  return account;
}

void FreeSize(void* size) {
  TheAccount().used -= *static_cast<int64_t*>(size);
  delete static_cast<int64_t*>(size);
}

// Memory without an address; what is owned is its size.
class DryAllocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    constexpr int64_t kBlock = 512;
    const int64_t size = (static_cast<int64_t>(bytes) + kBlock - 1) / kBlock * kBlock;
    TheAccount().Change(size);
    return {nullptr, new int64_t(size), &FreeSize, at::Device(at::kMeta)};
  }
  void copy_data(void*, const void*, size_t) const override {}
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex) override {
    const Account& account = TheAccount();
    return {static_cast<size_t>(account.total - account.used), static_cast<size_t>(account.total)};
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override { return {}; }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
};

// ---- Operations whose shapes LibTorch knows in Python alone ----

at::Tensor& Copy(at::Tensor& self, const at::Tensor& from, bool) {
  if (!self.is_meta()) self.zero_();
  static_cast<void>(at::infer_size(self.sizes(), from.sizes()));
  return self;
}

at::Scalar Zero(const at::Tensor&) { return 0.0; }

at::Tensor IndexSelect(const at::Tensor& x, int64_t dim, const at::Tensor& index) {
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes[static_cast<size_t>(at::maybe_wrap_dim(dim, x.dim()))] = index.numel();
  return at::empty(sizes, x.options());
}

at::Tensor Roll(const at::Tensor& x, c10::SymIntArrayRef, at::IntArrayRef) {
  return at::empty_like(x);
}

at::Tensor Where(const at::Tensor& condition, const at::Tensor& a, const at::Tensor& b) {
  return at::empty(at::infer_size(condition.sizes(), at::infer_size(a.sizes(), b.sizes())),
                   a.options().dtype(at::result_type(a, b)));
}

at::Tensor Max(const at::Tensor& x) { return at::empty({}, x.options()); }

at::Tensor& Abs(const at::Tensor& x, at::Tensor& out) {
  out.resize_(x.sizes());
  return out;
}

at::Tensor& LogicalAnd(const at::Tensor& a, const at::Tensor& b, at::Tensor& out) {
  out.resize_(at::infer_size(a.sizes(), b.sizes()));
  return out;
}

void FusedAdamW(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                at::TensorList, double, double, double, double, double, bool, bool,
                const std::optional<at::Tensor>&, const std::optional<at::Tensor>&) {}

// Layouts and workspaces as of the kernels for GPUs: float32 log-sum-exps, and on the way back sums
// of dq in float32 and, where query heads share key heads, gradients of each query head.
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor> FlashForward(
    const at::Tensor& q, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
    const std::optional<at::Tensor>&, c10::SymInt, c10::SymInt, double, bool, bool,
    std::optional<double>, std::optional<c10::SymInt>, std::optional<c10::SymInt>,
    const std::optional<at::Tensor>&, const std::optional<at::Tensor>&) {
  const at::Tensor none = at::empty({0}, q.options().dtype(at::kLong));
  return {at::empty_like(q),
          at::empty({q.size(0), q.size(2), q.size(1)}, q.options().dtype(at::kFloat)), none, none,
          none};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> FlashBackward(
    const at::Tensor&, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, c10::SymInt,
    c10::SymInt, double, bool, const at::Tensor&, const at::Tensor&, std::optional<double>,
    std::optional<c10::SymInt>, std::optional<c10::SymInt>) {
  const at::Tensor sums = at::empty(q.sizes(), q.options().dtype(at::kFloat));
  const at::Tensor wide_k = at::empty({1, k.size(1), q.size(2), k.size(3)}, k.options());
  const at::Tensor wide_v = at::empty_like(wide_k);
  return {at::empty_like(q), at::empty_like(k), at::empty_like(v)};
}

// Attention that holds no scores, as GPUs have it for any type: with log-sum-exps of 32 rows at a
// time, and on the way back a product of gradient and result for each row.
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> FusedForward(
    const at::Tensor& q, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
    bool for_gradients, double, bool, std::optional<double>) {
  const int64_t rows = for_gradients ? (q.size(2) + 31) / 32 * 32 : 0;
  const at::Tensor none = at::empty({}, q.options().dtype(at::kLong));
  // Heads lie side by side in a row.
  const at::Tensor result = at::empty({q.size(0), q.size(2), q.size(1), q.size(3)}, q.options());
  return {result.transpose(1, 2),
          at::empty({q.size(0), q.size(1), rows}, q.options().dtype(at::kFloat)), none, none};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> FusedBackward(
    const at::Tensor&, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
    double, std::array<bool, 4>, bool, std::optional<double>) {
  const at::Tensor products =
      at::empty({q.size(0), q.size(1), q.size(2)}, q.options().dtype(at::kFloat));
  return {at::empty_like(q), at::empty_like(k), at::empty_like(v), at::Tensor()};
}

// LibTorch would take plain operations, with all scores. Masks whose rows aren't aligned are
// copied, as for GPUs.
at::Tensor Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const std::optional<at::Tensor>& mask, double dropout, bool causal,
                  std::optional<double> scale, bool) {
  constexpr int64_t kAligned = 8;
  std::optional<at::Tensor> bias = mask;
  if (bias.has_value() && bias->stride(-2) % kAligned != 0) {
    const int64_t keys = bias->size(-1);
    bias = at::constant_pad_nd(*bias, {0, kAligned - keys % kAligned}).narrow(-1, 0, keys);
  }
  if (bias.has_value()) bias = bias->expand({q.size(0), q.size(1), q.size(2), k.size(2)});
  const bool gradients = at::GradMode::is_enabled() && q.requires_grad();
  return std::get<0>(at::_scaled_dot_product_efficient_attention(q, k, v, bias, gradients, dropout,
                                                                 causal, scale));
}

TORCH_LIBRARY_IMPL(aten, AutogradMeta, library) {
  library.impl("scaled_dot_product_attention", TORCH_FN(Attend));
}

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("copy_", TORCH_FN(Copy));
  library.impl("_local_scalar_dense", TORCH_FN(Zero));
  library.impl("index_select", TORCH_FN(IndexSelect));
  library.impl("roll", TORCH_FN(Roll));
  library.impl("where.self", TORCH_FN(Where));
  library.impl("max", TORCH_FN(Max));
  library.impl("abs.out", TORCH_FN(Abs));
  library.impl("logical_and.out", TORCH_FN(LogicalAnd));
  library.impl("_fused_adamw_", TORCH_FN(FusedAdamW));
  library.impl("_flash_attention_forward", TORCH_FN(FlashForward));
  library.impl("_flash_attention_backward", TORCH_FN(FlashBackward));
  library.impl("_scaled_dot_product_efficient_attention", TORCH_FN(FusedForward));
  library.impl("_scaled_dot_product_efficient_attention_backward", TORCH_FN(FusedBackward));
}

}  // namespace

at::Device DryDevice(int64_t bytes) {
  static const bool registered = [] {
    constexpr uint8_t kOverLibTorchs = 1;
    c10::SetAllocator(at::kMeta, new DryAllocator, kOverLibTorchs);
    return true;
  }();
  static_cast<void>(registered);
  TheAccount().total = bytes;
  return {at::kMeta};
}

int64_t DryBytes() { return TheAccount().used; }
int64_t DryPeak() { return TheAccount().peak; }
void ResetDryPeak() { TheAccount().peak = TheAccount().used; }

}  // namespace attnrl::device
