// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "common/base/words.h"

namespace attnrl::kernels {

// The instruction sets that kernels are compiled for, each a superset of those before it.
enum class Isa { kPortable, kAvx2, kAvx512 };
inline std::vector<Word<Isa>> WordsOf(Isa) {
  return {{"portable", Isa::kPortable}, {"avx2", Isa::kAvx2}, {"avx512", Isa::kAvx512}};
}

// The best that this machine has: AVX2 counts with FMA, AVX-512 with its foundation alone.
Isa FastestIsa();

// The one probe that every kernel of the process follows: FastestIsa(), or lower where LimitIsa
// said so. The first call settles it for the life of the process. Callers log and export it.
Isa UsedIsa();

// Lowers UsedIsa() to `most`; a higher one than the machine has changes nothing. For main
// functions, before any kernel runs: FAILED_PRECONDITION where UsedIsa() has settled on a higher
// one already. Thread-safe.
absl::Status LimitIsa(Isa most);

// What multiplies bfloat16 numbers in hardware, within UsedIsa(). Own kernels don't use it;
// LibTorch's oneDNN does.
enum class BFloat16Unit { kNone, kAvx512, kAmx };
BFloat16Unit UsedBFloat16Unit();

}  // namespace attnrl::kernels
