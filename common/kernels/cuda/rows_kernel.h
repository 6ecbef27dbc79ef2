// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernels of rows.h. Bound by bytes; every thread moves 16 at once, neighbours side by side.
#include "common/kernels/cuda/kernel_language.h"
#include "common/kernels/cuda/rows.h"

namespace attnrl::cuda {

// Row x. A thread keeps its part of the row in registers between the two halves.
template <typename T>
struct ResidualNormKernel {
  using Arguments = ResidualNorm<T>;
  static constexpr int kWarps = 8;
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kAtOnce = kSixteenBytes<T>;
  static constexpr int kHeld = static_cast<int>(Arguments::kMost) / (kThreads * kAtOnce);
  struct Shared {
    float parts[kWarps];
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    T* const x = a.x + BlockX() * a.n;
    Several<T, kAtOnce> held[kHeld];
    float squares = 0;
    for (int h = 0; h < kHeld; ++h) {
      const int64_t i = (int64_t{h} * kThreads + ThreadIndex()) * kAtOnce;
      if (i >= a.n) continue;
      held[h] = Load<kAtOnce>(x + i);
      if (a.added != nullptr) {
        const auto added = Load<kAtOnce>(a.added + BlockX() * a.n + i);
        for (int e = 0; e < kAtOnce; ++e) {
          held[h].of[e] = FromFloat<T>(ToFloat(held[h].of[e]) + ToFloat(added.of[e]));
        }
        Store(x + i, held[h]);
      }
      for (int e = 0; e < kAtOnce; ++e) squares += ToFloat(held[h].of[e]) * ToFloat(held[h].of[e]);
    }
    const float mean = BlockSum(squares, shared.parts) / static_cast<float>(a.n);
    const float inverse = 1 / SquareRoot(mean + a.eps);
    for (int h = 0; h < kHeld; ++h) {
      const int64_t i = (int64_t{h} * kThreads + ThreadIndex()) * kAtOnce;
      if (i >= a.n) continue;
      const auto weight = Load<kAtOnce>(a.weight + i);
      for (int e = 0; e < kAtOnce; ++e) {
        held[h].of[e] = FromFloat<T>(ToFloat(held[h].of[e]) * inverse * ToFloat(weight.of[e]));
      }
      Store(a.y + BlockX() * a.n + i, held[h]);
    }
  }
};

// Part y of row x.
template <typename T>
struct GatedSiluKernel {
  using Arguments = GatedSilu<T>;
  static constexpr int kThreads = 256;
  static constexpr int kAtOnce = kSixteenBytes<T>;
  struct Shared {};

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    const int64_t i = (int64_t{BlockY()} * kThreads + ThreadIndex()) * kAtOnce;
    if (i >= a.n) return;
    const auto gate = Load<kAtOnce>(a.gate + BlockX() * a.stride + i);
    const auto up = Load<kAtOnce>(a.up + BlockX() * a.stride + i);
    Several<T, kAtOnce> y;
    for (int e = 0; e < kAtOnce; ++e) {
      const float x = ToFloat(gate.of[e]);
      y.of[e] = FromFloat<T>(x / (1 + Exp2(-x * kLog2E)) * ToFloat(up.of[e]));
    }
    Store(a.y + BlockX() * a.n + i, y);
  }
};

}  // namespace attnrl::cuda
