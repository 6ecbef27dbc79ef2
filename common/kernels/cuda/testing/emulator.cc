// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/cuda/testing/emulator.h"

#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"

namespace attnrl::cuda {
namespace {

constexpr size_t kStackBytes = size_t{128} << 10;
constexpr size_t kSharedAlignment = 128;
constexpr size_t kLanes = kWarp;

enum class State { kReady, kAtBlock, kAtWarp, kEnded };

// A thread of a block is a fiber: it runs until it waits for others, then the next one does.
struct Thread {
  ucontext_t context;
  State state = State::kReady;
  int line = 0;  // where it waits
  const char* file = "";
  uint64_t bits = 0;  // what it gives to its warp
  int from = 0;       // the lane whose it takes
  char* stack = nullptr;
};

// Stacks that serve every launch: new ones would cost more than most kernels.
char* StackOf(size_t thread) {
  static std::vector<std::unique_ptr<char[]>>& stacks = *new std::vector<std::unique_ptr<char[]>>;
  while (stacks.size() <= thread) stacks.push_back(std::make_unique<char[]>(kStackBytes));
  return stacks[thread].get();
}

int64_t launches = 0;

std::function<void(Launched)>& Recorder() {
  static auto& recorder = *new std::function<void(Launched)>;
  return recorder;
}

std::function<std::shared_ptr<void>()>& Holder() {
  static auto& make = *new std::function<std::shared_ptr<void>()>;
  return make;
}

bool SamePlace(const Thread& a, const Thread& b) {
  return a.state == b.state &&
         (a.state == State::kEnded || (a.line == b.line && std::string_view(a.file) == b.file));
}

std::string Describe(size_t index, const Thread& thread) {
  const std::string who = absl::StrCat("thread ", index);
  if (thread.state == State::kEnded) return who + " has ended";
  return absl::StrCat(who, " waits for its ", thread.state == State::kAtBlock ? "block" : "warp",
                      " at ", thread.file, ":", thread.line);
}

class Emulator {
 public:
  Emulator(int threads, ThreadOrder order, const std::function<void(void*)>& run)
      : threads_(static_cast<size_t>(threads)), order_(order), run_(run) {
    for (size_t i = 0; i < threads_.size(); ++i) threads_[i].stack = StackOf(i);
  }

  absl::Status RunBlock(int64_t x, int64_t y, void* shared);
  // 0 to n - 1 in the order asked for.
  std::vector<int64_t> Ordered(int64_t n);

  // What the running thread asks for.
  size_t running() const { return running_; }
  int64_t x() const { return x_; }
  int64_t y() const { return y_; }
  void Wait(State state, int line, const char* file) {
    Thread& thread = threads_[running_];
    thread.state = state;
    thread.line = line;
    thread.file = file;
    swapcontext(&thread.context, &scheduler_);
  }
  Thread& thread() { return threads_[running_]; }

  static Emulator* current;

 private:
  static void Enter() {
    current->run_(current->shared_);
    current->Wait(State::kEnded, 0, "");
  }
  absl::Status Release();
  absl::Status Stuck(size_t a, size_t b) const;

  std::vector<Thread> threads_;
  const ThreadOrder order_;
  const std::function<void(void*)>& run_;
  ucontext_t scheduler_;
  RandomStream random_ = RandomStream({.seed = 1});
  size_t running_ = 0;
  int64_t x_ = 0;
  int64_t y_ = 0;
  void* shared_ = nullptr;
};

Emulator* Emulator::current = nullptr;

std::vector<int64_t> Emulator::Ordered(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (order_ == ThreadOrder::kDescending) std::reverse(order.begin(), order.end());
  if (order_ == ThreadOrder::kShuffled) {
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.Below(i)]);
  }
  return order;
}

absl::Status Emulator::RunBlock(int64_t x, int64_t y, void* shared) {
  x_ = x;
  y_ = y;
  shared_ = shared;
  for (Thread& thread : threads_) {
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack;
    thread.context.uc_stack.ss_size = kStackBytes;
    makecontext(&thread.context, Enter, 0);
    thread.state = State::kReady;
  }
  const auto ended = [](const Thread& thread) { return thread.state == State::kEnded; };
  while (!std::all_of(threads_.begin(), threads_.end(), ended)) {
    for (const int64_t i : Ordered(static_cast<int64_t>(threads_.size()))) {
      running_ = static_cast<size_t>(i);
      if (thread().state == State::kReady) swapcontext(&scheduler_, &thread().context);
    }
    if (absl::Status status = Release(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// All threads wait or have ended: whoever has all others at the same place goes on.
absl::Status Emulator::Release() {
  bool released = false;
  for (size_t first = 0; first < threads_.size(); first += kLanes) {
    bool waits = false;
    for (size_t i = first; i < first + kLanes; ++i) {
      waits = waits || threads_[i].state == State::kAtWarp;
    }
    if (!waits) continue;
    uint64_t given[kLanes];
    for (size_t i = 0; i < kLanes; ++i) {
      if (!SamePlace(threads_[first], threads_[first + i])) return Stuck(first, first + i);
      given[i] = threads_[first + i].bits;
    }
    for (size_t i = first; i < first + kLanes; ++i) {
      threads_[i].bits = given[static_cast<size_t>(threads_[i].from) % kLanes];
      threads_[i].state = State::kReady;
    }
    released = true;
  }
  if (released) return absl::OkStatus();
  for (size_t i = 1; i < threads_.size(); ++i) {
    if (!SamePlace(threads_[0], threads_[i])) return Stuck(0, i);
  }
  if (threads_[0].state == State::kEnded) return absl::OkStatus();
  for (Thread& thread : threads_) thread.state = State::kReady;
  return absl::OkStatus();
}

absl::Status Emulator::Stuck(size_t a, size_t b) const {
  return absl::FailedPreconditionError(absl::StrCat(
      "block (", x_, ", ", y_, "): ", Describe(a, threads_[a]), ", ", Describe(b, threads_[b])));
}

}  // namespace

namespace emulated {

int ThreadIndex() { return static_cast<int>(Emulator::current->running()); }
int BlockX() { return static_cast<int>(Emulator::current->x()); }
int BlockY() { return static_cast<int>(Emulator::current->y()); }
void SyncBlock(int line, const char* file) { Emulator::current->Wait(State::kAtBlock, line, file); }
uint64_t Exchange(uint64_t bits, int from, int line, const char* file) {
  Thread& thread = Emulator::current->thread();
  thread.bits = bits;
  thread.from = from;
  Emulator::current->Wait(State::kAtWarp, line, file);
  return thread.bits;
}

}  // namespace emulated

int64_t EmulatedLaunches() { return launches; }

void EmulateUnder(std::function<std::shared_ptr<void>()> make) { Holder() = std::move(make); }

void RecordLaunches(std::function<void(Launched)> to) { Recorder() = std::move(to); }

absl::Status EmulateBlocks(const Grid& grid, int threads, size_t shared_bytes, ThreadOrder order,
                           const std::function<void(void* shared)>& run) {
  if (Recorder()) {
    Recorder()([=] { return EmulateBlocks(grid, threads, shared_bytes, order, run); });
    return absl::OkStatus();
  }
  ++launches;
  const std::shared_ptr<void> held = Holder() ? Holder()() : nullptr;
  Emulator emulator(threads, order, run);
  Emulator::current = &emulator;
  // On the heap, so that a sanitizer sees its end.
  const std::unique_ptr<void, void (*)(void*)> shared(
      ::operator new (shared_bytes, std::align_val_t{kSharedAlignment}),
      [](void* p) { ::operator delete (p, std::align_val_t{kSharedAlignment}); });
  for (const int64_t block : emulator.Ordered(grid.x * grid.y)) {
    std::memset(shared.get(), 0xFF, shared_bytes);
    const absl::Status status = emulator.RunBlock(block % grid.x, block / grid.x, shared.get());
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace attnrl::cuda
