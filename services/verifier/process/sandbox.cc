// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ATTNRL_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ATTNRL_SANITIZED 1
#endif
#endif

namespace attnrl::verifier {
namespace {

std::string Failed(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

bool SetLimit(decltype(RLIMIT_CPU) resource, uint64_t value) {
  rlimit limit{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  return setrlimit(resource, &limit) == 0;
}

#if !defined(ATTNRL_SANITIZED)
#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// Reading and writing the pipes, memory, the clock, and the end.
constexpr uint32_t kAllowedCalls[] = {
    SYS_read,       SYS_write,         SYS_brk,       SYS_mmap,           SYS_munmap,
    SYS_mremap,     SYS_madvise,       SYS_futex,     SYS_rt_sigreturn,   SYS_exit,
    SYS_exit_group, SYS_clock_gettime, SYS_getrandom, SYS_restart_syscall};

std::string FilterCalls() {
  if (kArchitecture == 0) return {};
  std::vector<sock_filter> filter;
  auto load = [&](size_t offset) {
    filter.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  };
  auto unless_equal_kill = [&](uint32_t value) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  };
  auto if_equal_allow = [&](uint32_t value) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  };
  load(offsetof(seccomp_data, arch));
  unless_equal_kill(kArchitecture);
  load(offsetof(seccomp_data, nr));
  for (uint32_t call : kAllowedCalls) if_equal_allow(call);
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0) return {};
  // A kernel, or an outer sandbox, without filters: the other limits hold.
  return errno == EINVAL || errno == ENOSYS ? std::string() : Failed("seccomp");
}
#endif

}  // namespace

std::string EnterSandbox(const SandboxLimits& limits) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return Failed("PR_SET_PDEATHSIG");
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return Failed("PR_SET_DUMPABLE");
  if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) {
    if (errno != ENOSYS) return Failed("close_range");
    for (int fd = 3; fd < 65536; ++fd) close(fd);
  }
  if (!SetLimit(RLIMIT_CORE, 0)) return Failed("RLIMIT_CORE");
  if (!SetLimit(RLIMIT_CPU, limits.cpu_seconds)) return Failed("RLIMIT_CPU");
  if (!SetLimit(RLIMIT_FSIZE, 0)) return Failed("RLIMIT_FSIZE");
  if (!SetLimit(RLIMIT_NOFILE, 3)) return Failed("RLIMIT_NOFILE");
  if (!SetLimit(RLIMIT_NPROC, 0)) return Failed("RLIMIT_NPROC");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("PR_SET_NO_NEW_PRIVS");
#if defined(ATTNRL_SANITIZED)
  static_cast<void>(limits.address_space_bytes);
  return {};
#else
  if (!SetLimit(RLIMIT_AS, limits.address_space_bytes)) return Failed("RLIMIT_AS");
  return FilterCalls();
#endif
}

}  // namespace attnrl::verifier
