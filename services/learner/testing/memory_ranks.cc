// SPDX-License-Identifier: Apache-2.0
#include "services/learner/testing/memory_ranks.h"

#include <ATen/ATen.h>

#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace attnrl::learner {
namespace {

// What is on its way between ranks.
class Mail {
 public:
  void Put(int from, int to, const at::Tensor& tensor) {
    absl::MutexLock lock(&mutex_);
    waiting_[{from, to}].push_back(tensor.clone());
  }

  at::Tensor Take(int from, int to) {
    absl::MutexLock lock(&mutex_);
    std::deque<at::Tensor>& waiting = waiting_[{from, to}];
    const auto ready = [&] { return broken_ || !waiting.empty(); };
    mutex_.Await(absl::Condition(&ready));
    if (waiting.empty()) throw RankError("another rank has ended");
    at::Tensor tensor = std::move(waiting.front());
    waiting.pop_front();
    return tensor;
  }

  void Break() {
    absl::MutexLock lock(&mutex_);
    broken_ = true;
  }

 private:
  absl::Mutex mutex_;
  bool broken_ = false;
  std::map<std::pair<int, int>, std::deque<at::Tensor>> waiting_;
};

class Sent final : public RankGroup::Transfer {
 public:
  void Wait() override {}
};

class Received final : public RankGroup::Transfer {
 public:
  Received(Mail& mail, int from, int to, at::Tensor tensor)
      : mail_(mail), from_(from), to_(to), tensor_(std::move(tensor)) {}
  void Wait() override { tensor_.copy_(mail_.Take(from_, to_)); }

 private:
  Mail& mail_;
  const int from_;
  const int to_;
  at::Tensor tensor_;
};

class MemoryGroup final : public RankGroup {
 public:
  MemoryGroup(Mail& mail, int rank, int size) : mail_(mail), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::unique_ptr<Transfer> Send(const at::Tensor& tensor, int to) override {
    mail_.Put(rank_, to, tensor);
    return std::make_unique<Sent>();
  }
  std::unique_ptr<Transfer> Receive(const at::Tensor& tensor, int from) override {
    return std::make_unique<Received>(mail_, from, rank_, tensor);
  }

 private:
  Mail& mail_;
  const int rank_;
  const int size_;
};

}  // namespace

void RunRanks(int size, const std::function<void(RankGroup&)>& work) {
  Mail mail;
  std::exception_ptr first;
  absl::Mutex mutex;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      MemoryGroup group(mail, rank, size);
      try {
        work(group);
      } catch (...) {
        mail.Break();
        absl::MutexLock lock(&mutex);
        if (first == nullptr) first = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace attnrl::learner
