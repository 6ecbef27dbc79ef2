// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "common/base/words.h"

namespace attnrl::kernels {

// The instruction sets that kernels are compiled for, each a superset of those before it. The last
// two multiply bfloat16 numbers themselves (bfloat16/); their other kernels are those of AVX-512.
enum class Isa { kPortable, kAvx2, kAvx512, kAvx512BFloat16, kAmxBFloat16 };
inline std::vector<Word<Isa>> WordsOf(Isa) {
  return {{"portable", Isa::kPortable},
          {"avx2", Isa::kAvx2},
          {"avx512", Isa::kAvx512},
          {"avx512_bf16", Isa::kAvx512BFloat16},
          {"amx_bf16", Isa::kAmxBFloat16}};
}

// The best that this machine has: AVX2 counts with FMA, AVX-512 with its foundation alone, AMX
// where the system lets this process use it, for which the first call asks.
Isa FastestIsa();

// The one probe that every kernel of the process follows: FastestIsa(), or lower where LimitIsa
// said so. The first call settles it for the life of the process. Callers log and export it.
Isa UsedIsa();

// Lowers UsedIsa() to `most`; a higher one than the machine has changes nothing. For main
// functions, before any kernel runs: FAILED_PRECONDITION where UsedIsa() has settled on a higher
// one already. Thread-safe.
absl::Status LimitIsa(Isa most);

// The kernel of UsedIsa(), or the best below it, of those that this machine can run in the order of
// Isa, portable first.
template <typename Kernel>
const Kernel& BestOf(const std::vector<const Kernel*>& kernels) {
  return *kernels[std::min(static_cast<size_t>(UsedIsa()), kernels.size() - 1)];
}

}  // namespace attnrl::kernels
