// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
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
  Isa most ABSL_GUARDED_BY(mutex) = Isa::kAmxBFloat16;
  std::optional<Isa> settled ABSL_GUARDED_BY(mutex);
};

Choice& TheChoice() {
  static Choice& choice = *new Choice;
  return choice;
}

#if defined(__x86_64__)
// Whether the processor has AMX's tiles and its products of bfloat16, and the system has given this
// process room for the tiles, 8 KiB a thread, which it does for those that ask alone.
bool GetAmx() {
  constexpr unsigned kAmxBFloat16 = 1U << 22;
  constexpr unsigned kAmxTile = 1U << 24;
  constexpr unsigned kXSaveByOs = 1U << 27;
  constexpr unsigned kTileStates = 3U << 17;  // of XCR0: configuration and data
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kAmxBFloat16) == 0 || (edx & kAmxTile) == 0) return false;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kXSaveByOs) == 0) return false;
  asm volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  if ((eax & kTileStates) != kTileStates) return false;
  constexpr long kAskForState = 0x1023;  // ARCH_REQ_XCOMP_PERM, since Linux 5.16
  constexpr long kTileData = 18;         // XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
}

Isa Probe() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::kPortable;
  if (!__builtin_cpu_supports("avx512f")) return Isa::kAvx2;
  if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512bf16")) {
    return Isa::kAvx512;
  }
  return GetAmx() ? Isa::kAmxBFloat16 : Isa::kAvx512BFloat16;
}
#else
Isa Probe() { return Isa::kPortable; }
#endif

}  // namespace

Isa FastestIsa() {
  static const Isa fastest = Probe();
  return fastest;
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

}  // namespace attnrl::kernels
