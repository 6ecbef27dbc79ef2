// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace attnrl::kernels {
namespace {

struct Choice {
  absl::Mutex mutex;
  Isa most ABSL_GUARDED_BY(mutex) = Isa::kAvx512;
  std::optional<Isa> settled ABSL_GUARDED_BY(mutex);
};

Choice& TheChoice() {
  static Choice& choice = *new Choice;
  return choice;
}

}  // namespace

Isa FastestIsa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return __builtin_cpu_supports("avx512f") ? Isa::kAvx512 : Isa::kAvx2;
  }
#endif
  return Isa::kPortable;
}

Isa UsedIsa() {
  static const Isa used = [] {
    Choice& choice = TheChoice();
    absl::MutexLock lock(&choice.mutex);
    choice.settled = std::min(choice.most, FastestIsa());
    return *choice.settled;
  }();
  return used;
}

absl::Status LimitIsa(Isa most) {
  Choice& choice = TheChoice();
  absl::MutexLock lock(&choice.mutex);
  if (choice.settled.has_value() && most < *choice.settled) {
    return absl::FailedPreconditionError(
        absl::StrCat("kernels run with ", std::string(WordOf(*choice.settled)),
                     " already, too late for ", std::string(WordOf(most))));
  }
  choice.most = std::min(choice.most, most);
  return absl::OkStatus();
}

BFloat16Unit UsedBFloat16Unit() {
#if defined(__x86_64__)
  if (UsedIsa() < Isa::kAvx512 || !__builtin_cpu_supports("avx512bf16")) return BFloat16Unit::kNone;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kAmxBFloat16 = 1U << 22;
  const bool amx =
      __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAmxBFloat16) != 0;
  return amx ? BFloat16Unit::kAmx : BFloat16Unit::kAvx512;
#else
  return BFloat16Unit::kNone;
#endif
}

}  // namespace attnrl::kernels
