// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/grading.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/observe/log.h"

namespace attnrl::scheduler {
namespace {

// A call may take this long whatever is in it, and for each response as long as the verifier takes
// to give up on it: its time-out on three graders one after another, each ten times as long where
// the machine is too busy, which happens to all responses together
// (services/verifier/process/grader_pool.h, grader_process.cc).
constexpr absl::Duration kCallBase = absl::Seconds(30);
constexpr size_t kGraderTries = 3;
constexpr int kStarved = 30;
// Servers refuse a deadline beyond ten minutes.
constexpr absl::Duration kLongestCall = absl::Minutes(9);

Grade ToGrade(const verifier::GradeResult& result) {
  Grade grade;
  grade.status = result.status;
  // Nothing but a verdict may be a reward.
  grade.correct = result.correct && verifier::IsVerdict(result.status);
  grade.extracted = result.extracted;
  grade.matched = result.matched;
  return grade;
}

// The grade of a response that no call can carry; the verifier isn't asked.
std::optional<Grade> TooLarge(const std::string& response,
                              const std::vector<std::string>& answers) {
  const size_t bytes = verifier::Bytes(response, answers);
  if (bytes <= verifier::kMaxBytesPerCall) return std::nullopt;
  observe::LogWarning("a response is too large for the verifier and is graded `limit`",
                      {{"bytes", bytes}, {"allowed", verifier::kMaxBytesPerCall}});
  return Grade{.status = verifier::GradeStatus::kLimit};
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
  FollowServers();
}

void GradingQueue::Pending::NoteSettled(const Stopwatch& since) {
  if (!watch) watch = since;
  span = {UnixSeconds(watch->start()), UnixSeconds(watch->End())};
}

void GradingQueue::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  client_->Cancel();
}

GradingQueue::~GradingQueue() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;  // no thread starts another one from here on
    threads = std::move(threads_);
  }
  for (std::thread& thread : threads) thread.join();
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
  return tasks_.size() + under_way_;
}

bool GradingQueue::stopping() const {
  absl::MutexLock lock(&mutex_);
  return stop_;
}

void GradingQueue::FollowServers() {
  const size_t wanted = std::min(kMaxThreads, options_.threads * client_->servers());
  absl::MutexLock lock(&mutex_);
  wanted_ = std::max<size_t>(1, wanted);
  while (!stop_ && threads_.size() < wanted) {
    threads_.emplace_back([this, index = threads_.size()] { Loop(index); });
  }
}

std::vector<GradeTask> GradingQueue::Take(size_t index, absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  auto something = [this, index]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return stop_ || (!tasks_.empty() && index < wanted_);
  };
  mutex_.AwaitWithTimeout(absl::Condition(&something), wait);
  std::vector<GradeTask> taken;
  if (index >= wanted_) return taken;
  // A share, so that one call doesn't take what others could carry.
  const size_t share = std::min(options_.items_per_call, (tasks_.size() + wanted_ - 1) / wanted_);
  while (!stop_ && !tasks_.empty() && taken.size() < share) {
    taken.push_back(std::move(tasks_.front()));
    tasks_.pop_front();
  }
  under_way_ += taken.size();
  return taken;
}

void GradingQueue::Loop(size_t index) {
  while (!stopping()) {
    GradeAll(Take(index, absl::Seconds(1)));
    FollowServers();
  }
}

bool GradingQueue::RunOnce() {
  std::vector<GradeTask> tasks = Take(0, absl::ZeroDuration());
  if (tasks.empty()) return false;
  GradeAll(std::move(tasks));
  return true;
}

void GradingQueue::GradeAll(std::vector<GradeTask> tasks) {
  const size_t taken = tasks.size();
  GradeTaken(std::move(tasks));
  absl::MutexLock lock(&mutex_);
  under_way_ -= taken;
}

void GradingQueue::GradeTaken(std::vector<GradeTask> tasks) {
  std::vector<Pending> pending;
  for (GradeTask& task : tasks) {
    Pending item;
    for (const std::vector<int32_t>& ids : task.responses) item.texts.push_back(decode_(ids));
    for (const std::string& text : item.texts) {
      const std::optional<Grade> known = TooLarge(text, *task.answers);
      item.grades.push_back(known.value_or(Grade{}));
      item.settled.push_back(known.has_value());
      if (known) item.NoteSettled(Stopwatch(*clock_));
    }
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

absl::Duration GradingQueue::Deadline(size_t requests) const {
  const absl::Duration deadline =
      kCallBase + kStarved * options_.grader_timeout +
      static_cast<double>(kGraderTries * requests) * options_.grader_timeout;
  return std::min(deadline, kLongestCall);
}

absl::StatusOr<std::vector<Grade>> GradingQueue::Call(
    const std::vector<verifier::GradeRequest>& requests) {
  auto results = client_->Verify(requests, Deadline(requests.size()));
  if (results.ok() && results->size() != requests.size()) {
    results = absl::InternalError("the verifier returned the wrong number of results");
  }
  absl::MutexLock lock(&mutex_);
  trouble_ = results.ok() ? "" : results.status().ToString();
  if (!results.ok()) return results.status();
  std::vector<Grade> grades;
  for (const verifier::GradeResult& result : *results) grades.push_back(ToGrade(result));
  return grades;
}

bool GradingQueue::Attempt(std::vector<Pending>& pending, bool final_attempt) {
  std::vector<Place> all;
  for (size_t i = 0; i < pending.size(); ++i) {
    for (size_t s = 0; s < pending[i].texts.size(); ++s) {
      if (!pending[i].settled[s]) all.push_back({i, s});
    }
  }
  std::vector<std::vector<Place>> calls;  // still to be made; the last one is the next
  if (!all.empty()) calls.push_back(std::move(all));
  while (!calls.empty()) {
    const std::vector<Place>& places = calls.back();
    std::vector<verifier::GradeRequest> requests;
    for (const auto& [task, s] : places) {
      const GradeTask& asked = pending[task].task;
      const bool named = asked.grader != nullptr && !asked.grader->empty();
      requests.push_back({absl::StrCat(Number(asked.item), "/", s), pending[task].texts[s],
                          *asked.answers, named ? *asked.grader : options_.grader});
    }
    const Stopwatch watch(*clock_);
    absl::StatusOr<std::vector<Grade>> grades = Call(requests);
    if (stopping()) return false;
    if (absl::IsDeadlineExceeded(grades.status()) && places.size() > 1) {
      const std::vector<Place> whole = std::move(calls.back());
      const auto middle = whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2);
      calls.back().assign(middle, whole.end());
      calls.emplace_back(whole.begin(), middle);
      continue;
    }
    if (!grades.ok()) {
      clock_->Sleep(options_.retry_after);
      if (options_.threads == 0) return false;
      continue;
    }
    for (size_t r = 0; r < places.size(); ++r) {
      Pending& item = pending[places[r].task];
      item.NoteSettled(watch);
      item.grades[places[r].response] = (*grades)[r];
      item.settled[places[r].response] = final_attempt || verifier::IsVerdict((*grades)[r].status);
    }
    calls.pop_back();
  }
  return true;
}

}  // namespace attnrl::scheduler
