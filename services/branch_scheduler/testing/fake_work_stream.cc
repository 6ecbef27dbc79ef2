// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/testing/fake_work_stream.h"

#include <utility>
#include <variant>

namespace attnrl::scheduler {

class FakeWorkStream final : public WorkStream {
 public:
  FakeWorkStream(std::shared_ptr<FakeWorkConnector::Shared> shared, int number)
      : shared_(std::move(shared)), number_(number) {}

  absl::Status Send(const WorkerMessage& message) override {
    absl::MutexLock lock(&shared_->mutex);
    if (absl::Status status = State(); !status.ok()) return status;
    if (std::holds_alternative<ItemResult>(message) && !shared_->refuse_results.ok()) {
      return shared_->refuse_results;
    }
    shared_->from_worker.push_back(message);
    return absl::OkStatus();
  }

  void Leave() override {
    absl::MutexLock lock(&shared_->mutex);
    if (number_ == shared_->opened) shared_->left = true;
    if (shared_->ended.ok()) shared_->ended = absl::UnavailableError("the worker has left");
  }

  absl::StatusOr<std::optional<SchedulerMessage>> Receive(absl::Duration timeout) override {
    absl::MutexLock lock(&shared_->mutex);
    auto something = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return !State().ok() || !shared_->to_worker.empty();
    };
    shared_->mutex.AwaitWithTimeout(absl::Condition(&something), timeout);
    if (absl::Status status = State(); !status.ok()) return status;
    if (shared_->to_worker.empty()) return std::optional<SchedulerMessage>();
    std::optional<SchedulerMessage> message = std::move(shared_->to_worker.front());
    shared_->to_worker.pop_front();
    return message;
  }

  void Cancel() override {
    absl::MutexLock lock(&shared_->mutex);
    cancelled_ = true;
  }

 private:
  absl::Status State() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (cancelled_) return absl::CancelledError("the work stream was cancelled");
    if (number_ != shared_->opened) return absl::UnavailableError("a newer work stream is open");
    return shared_->ended;
  }

  std::shared_ptr<FakeWorkConnector::Shared> shared_;
  const int number_;
  bool cancelled_ = false;  // guarded by shared_->mutex
};

void FakeWorkConnector::RefuseResults(absl::Status status) {
  absl::MutexLock lock(&shared_->mutex);
  shared_->refuse_results = std::move(status);
}

FakeWorkConnector::FakeWorkConnector() : shared_(std::make_shared<Shared>()) {}
FakeWorkConnector::~FakeWorkConnector() { Break(absl::UnavailableError("the scheduler is gone")); }

absl::StatusOr<std::unique_ptr<WorkStream>> FakeWorkConnector::Open() {
  absl::MutexLock lock(&shared_->mutex);
  if (!shared_->refuse.ok()) return shared_->refuse;
  shared_->ended = absl::OkStatus();
  return std::make_unique<FakeWorkStream>(shared_, ++shared_->opened);
}

void FakeWorkConnector::Push(SchedulerMessage message) {
  absl::MutexLock lock(&shared_->mutex);
  shared_->to_worker.push_back(std::move(message));
}

std::optional<WorkerMessage> FakeWorkConnector::AwaitSent(absl::Duration timeout) {
  absl::MutexLock lock(&shared_->mutex);
  auto something = [this]()
                       ABSL_NO_THREAD_SAFETY_ANALYSIS { return !shared_->from_worker.empty(); };
  shared_->mutex.AwaitWithTimeout(absl::Condition(&something), timeout);
  if (shared_->from_worker.empty()) return std::nullopt;
  std::optional<WorkerMessage> message = std::move(shared_->from_worker.front());
  shared_->from_worker.pop_front();
  return message;
}

void FakeWorkConnector::Break(absl::Status status) {
  absl::MutexLock lock(&shared_->mutex);
  shared_->ended = std::move(status);
}

void FakeWorkConnector::RefuseOpen(absl::Status status) {
  absl::MutexLock lock(&shared_->mutex);
  shared_->refuse = std::move(status);
}

bool FakeWorkConnector::left() const {
  absl::MutexLock lock(&shared_->mutex);
  return shared_->left;
}

int FakeWorkConnector::opened() const {
  absl::MutexLock lock(&shared_->mutex);
  return shared_->opened;
}

}  // namespace attnrl::scheduler
