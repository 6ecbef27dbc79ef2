// SPDX-License-Identifier: Apache-2.0
// Only in a build with CUDA. glibc takes the thread-local storage of all libraries that a program
// was linked to from the stack that a thread asks for. That of CUDA's libraries is larger (150 KiB,
// most of it cuBLAS's) than what the threads of the metrics server ask for (100 KiB), which
// pthread_create then refuses. This stands before glibc's function for every library of the
// program.
#include <dlfcn.h>
#include <pthread.h>

#include <cstddef>

namespace {

constexpr size_t kLibraries = size_t{512} << 10;

}  // namespace

extern "C" int pthread_attr_setstacksize(pthread_attr_t* attributes, size_t size) noexcept {
  using Function = int (*)(pthread_attr_t*, size_t);
  static const auto kNext =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_attr_setstacksize"));
  return kNext(attributes, size + kLibraries);
}
