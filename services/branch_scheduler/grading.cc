// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/grading.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::scheduler {
namespace {

double Seconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

Grade ToGrade(const verifier::GradeResult& result) {
  Grade grade;
  grade.status = result.status;
  // Nothing but a verdict may be a reward.
  grade.correct = result.correct && verifier::IsVerdict(result.status);
  grade.extracted = result.extracted;
  grade.matched = result.matched;
  return grade;
}

}  // namespace

GradingQueue::GradingQueue(Options options, verifier::VerifierClient* client,
                           std::function<std::string(const std::vector<int32_t>&)> decode,
                           Clock* clock, Done done)
    : options_(options),
      client_(client),
      decode_(std::move(decode)),
      clock_(clock),
      done_(std::move(done)) {
  for (uint32_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Loop(); });
}

GradingQueue::~GradingQueue() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void GradingQueue::Add(std::vector<GradeTask> tasks) {
  absl::MutexLock lock(&mutex_);
  for (GradeTask& task : tasks) tasks_.push_back(std::move(task));
}

std::string GradingQueue::trouble() const {
  absl::MutexLock lock(&mutex_);
  return trouble_;
}

size_t GradingQueue::waiting() const {
  absl::MutexLock lock(&mutex_);
  return tasks_.size();
}

bool GradingQueue::stopping() const {
  absl::MutexLock lock(&mutex_);
  return stop_;
}

std::vector<GradeTask> GradingQueue::Take(absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  auto something = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stop_ || !tasks_.empty(); };
  mutex_.AwaitWithTimeout(absl::Condition(&something), wait);
  std::vector<GradeTask> taken;
  while (!stop_ && !tasks_.empty() && taken.size() < options_.items_per_call) {
    taken.push_back(std::move(tasks_.front()));
    tasks_.pop_front();
  }
  return taken;
}

void GradingQueue::Loop() {
  while (!stopping()) GradeAll(Take(absl::Seconds(1)));
}

bool GradingQueue::RunOnce() {
  std::vector<GradeTask> tasks = Take(absl::ZeroDuration());
  if (tasks.empty()) return false;
  GradeAll(std::move(tasks));
  return true;
}

void GradingQueue::GradeAll(std::vector<GradeTask> tasks) {
  std::vector<Pending> pending;
  for (GradeTask& task : tasks) {
    Pending item;
    for (const std::vector<int32_t>& ids : task.responses) item.texts.push_back(decode_(ids));
    item.grades.resize(item.texts.size());
    item.settled.resize(item.texts.size(), false);
    item.task = std::move(task);
    pending.push_back(std::move(item));
  }
  for (uint32_t attempt = 1; attempt <= options_.attempts; ++attempt) {
    if (Attempt(pending, attempt == options_.attempts)) continue;
    std::vector<GradeTask> again;
    for (Pending& item : pending) again.push_back(std::move(item.task));
    return Add(std::move(again));
  }
  for (Pending& item : pending) {
    done_(GradedItem{item.task.item, std::move(item.grades), item.span});
  }
}

bool GradingQueue::Attempt(std::vector<Pending>& pending, bool final_attempt) {
  std::vector<verifier::GradeRequest> requests;
  std::vector<std::pair<size_t, size_t>> places;
  for (size_t i = 0; i < pending.size(); ++i) {
    for (size_t s = 0; s < pending[i].texts.size(); ++s) {
      if (pending[i].settled[s]) continue;
      requests.push_back(verifier::GradeRequest{absl::StrCat(pending[i].task.item, "/", s),
                                                pending[i].texts[s], *pending[i].task.answers});
      places.emplace_back(i, s);
    }
  }
  if (requests.empty()) return true;
  for (;;) {
    const double start = Seconds(clock_->Now());
    auto results = client_->Verify(requests, options_.call_deadline);
    const double end = Seconds(clock_->Now());
    if (results.ok() && results->size() != requests.size()) {
      results = absl::InternalError("the verifier answered with another number of results");
    }
    {
      absl::MutexLock lock(&mutex_);
      trouble_ = results.ok() ? "" : results.status().ToString();
      if (stop_) return false;
    }
    if (!results.ok()) {
      clock_->Sleep(options_.retry_after);
      if (threads_.empty()) return false;
      continue;
    }
    for (size_t r = 0; r < places.size(); ++r) {
      Pending& item = pending[places[r].first];
      item.span.start = item.span.end == 0 ? start : item.span.start;
      item.span.end = end;
      const Grade grade = ToGrade((*results)[r]);
      item.grades[places[r].second] = grade;
      item.settled[places[r].second] = final_attempt || verifier::IsVerdict(grade.status);
    }
    return true;
  }
}

}  // namespace attnrl::scheduler
