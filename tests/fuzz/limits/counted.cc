// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/limits/counted.h"

#include <flint/flint.h>
#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "services/verifier/grading/grader.h"

namespace {

std::atomic<int64_t> allocations = 0;
std::atomic<int64_t> bytes = 0;
std::atomic<int64_t> peak = 0;

void* Counted(void* memory) {
  if (memory == nullptr) return memory;
  allocations.fetch_add(1, std::memory_order_relaxed);
  const auto size = static_cast<int64_t>(malloc_usable_size(memory));
  const int64_t now = bytes.fetch_add(size, std::memory_order_relaxed) + size;
  if (now > peak.load(std::memory_order_relaxed)) peak.store(now, std::memory_order_relaxed);
  return memory;
}

void Free(void* memory) {
  bytes.fetch_sub(static_cast<int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
  std::free(memory);
}

void* Allocate(size_t size) { return Counted(std::malloc(size)); }
void* AllocateZeros(size_t number, size_t size) { return Counted(std::calloc(number, size)); }
void* Reallocate(void* memory, size_t size) {
  bytes.fetch_sub(static_cast<int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
  return Counted(std::realloc(memory, size));
}

}  // namespace

void* operator new(size_t size) {
  if (void* memory = Allocate(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }

namespace attnrl::fuzz {
namespace {

struct Task {
  verifier::GradeRequest request;
  verifier::GradeResult result;
};

void* Run(void* argument) {
  auto* task = static_cast<Task*>(argument);
  task->result = verifier::Grade(task->request);
  // What FLINT keeps for its next calls belongs to the thread.
  flint_cleanup();
  return nullptr;
}

}  // namespace

verifier::GradeResult GradeCounted(const std::string& answer, const std::string& accepted,
                                   Counts* counts) {
  static const bool flint_is_counted = [] {
    __flint_set_memory_functions(Allocate, AllocateZeros, Reallocate, Free);
    return true;
  }();
  static_cast<void>(flint_is_counted);
  Task task;
  task.request.response = "\\boxed{" + answer + "}";
  task.request.answers = {accepted};
  const int64_t before = bytes;
  allocations = 0;
  peak = before;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t thread = {};
  if (pthread_create(&thread, &attributes, Run, &task) != 0) std::abort();
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  *counts = {allocations, peak - before};
  return task.result;
}

std::string Broken(const verifier::GradeResult& result, const Counts& counts) {
  using verifier::GradeStatus;
  constexpr int64_t kMostAllocations = 4'000'000;
  constexpr int64_t kMostBytes = int64_t{128} << 20;
  if (result.status != GradeStatus::kGraded && result.status != GradeStatus::kUnparsable &&
      result.status != GradeStatus::kLimit) {
    return "no verdict and no limit";
  }
  if (result.correct && result.status != GradeStatus::kGraded) return "a limit was a reward";
  if (counts.allocations > kMostAllocations) {
    return std::to_string(counts.allocations) + " allocations";
  }
  if (counts.peak_bytes > kMostBytes) return std::to_string(counts.peak_bytes) + " bytes";
  return {};
}

}  // namespace attnrl::fuzz
