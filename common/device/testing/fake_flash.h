// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymInt.h>

#include <optional>
#include <tuple>

namespace attnrl::device {

// For tests only: the fake device's flash attention, which LibTorch has for GPUs, computed by that
// of the CPU, or for several sequences by the formula, without log-sum-exps. Arguments as of
// aten::_flash_attention_forward and _backward; those without a name here are not read.
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor> FakeFlashForward(
    const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const std::optional<at::Tensor>& query_ends, const std::optional<at::Tensor>& key_ends,
    c10::SymInt most_queries, c10::SymInt most_keys, double, bool causal, bool,
    std::optional<double>, std::optional<c10::SymInt>, std::optional<c10::SymInt>,
    const std::optional<at::Tensor>&, const std::optional<at::Tensor>&);
std::tuple<at::Tensor, at::Tensor, at::Tensor> FakeFlashBackward(
    const at::Tensor& gradient, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor& result, const at::Tensor& lse, const at::Tensor&, const at::Tensor&,
    c10::SymInt, c10::SymInt, double, bool causal, const at::Tensor&, const at::Tensor&,
    std::optional<double>, std::optional<c10::SymInt>, std::optional<c10::SymInt>);

}  // namespace attnrl::device
