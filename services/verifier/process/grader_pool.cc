// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/grader_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::verifier {
namespace {

// Responses handed to a process at once: enough to keep it busy while results travel back.
constexpr size_t kWindow = 64;
// Starts that may fail in a row, each after a longer pause, before waiting callers are told.
constexpr int kStartFailures = 5;
// A request and its answer both fit a frame.
static_assert(2 * kMaxBytesPerResponse <= kMaxFrameBytes);

// Between two looks whether a caller is still there.
constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(5);

}  // namespace

// One call of Grade. Its members belong to the pool's mutex; the requests are only read.
struct GraderPool::Batch {
  explicit Batch(const std::vector<GradeRequest>& all)
      : requests(all), results(all.size()), left(all.size()) {}

  const std::vector<GradeRequest>& requests;
  std::vector<GradeResult> results;
  size_t left;
  absl::Status failed;
};

absl::Status GraderPoolOptions::Validate() const {
  if (children < 1 || children > 1024) {
    return InputError("children", absl::StrCat(children), "1 to 1024 grader processes");
  }
  if (timeout < absl::Milliseconds(1)) {
    return InputError("timeout", absl::FormatDuration(timeout), "a millisecond or more");
  }
  if (attempts < 1) return InputError("attempts", absl::StrCat(attempts), "1 or more");
  return absl::OkStatus();
}

GraderPool::GraderPool(GraderPoolOptions options) : options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<GraderPool>> GraderPool::Start(GraderPoolOptions options) {
  ATTNRL_RETURN_IF_ERROR(options.Validate());
  if (options.binary.empty()) options.binary = GraderBesideExecutable();
  std::unique_ptr<GraderPool> pool(new GraderPool(std::move(options)));
  {
    absl::MutexLock lock(&pool->mutex_);
    pool->starting_ = pool->options_.children;
  }
  GraderPool* const raw = pool.get();
  for (int i = 0; i < pool->options_.children; ++i) {
    pool->threads_.emplace_back([raw] { raw->RunChild(); });
  }
  absl::Status error;
  {
    absl::MutexLock lock(&pool->mutex_);
    auto ready = [raw]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(raw->mutex_) {
      return raw->starting_ == 0 || !raw->start_error_.ok();
    };
    pool->mutex_.Await(absl::Condition(&ready));
    error = pool->start_error_;
  }
  if (!error.ok()) return error;
  return pool;
}

GraderPool::~GraderPool() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<std::vector<GradeResult>> GraderPool::Grade(
    const std::vector<GradeRequest>& requests, const Abandoned& abandoned) {
  size_t bytes = 0;
  for (const GradeRequest& request : requests) {
    if (request.answers.empty()) {
      return InputError(absl::StrCat("response \"", OneLine(request.id, 60), "\""),
                        "no accepted answer", "at least one is needed");
    }
    if (Bytes(request) > kMaxBytesPerResponse) {
      return InputError(absl::StrCat("response \"", OneLine(request.id, 60), "\""),
                        absl::StrCat(Bytes(request), " bytes"),
                        absl::StrCat(kMaxBytesPerResponse, " bytes with its answers at most"));
    }
    bytes += Bytes(request);
  }
  Batch batch(requests);
  absl::MutexLock lock(&mutex_);
  // All or nothing: a caller that is refused can try again without knowing what was taken.
  if (queue_.size() + requests.size() > options_.max_queued ||
      queued_bytes_ + bytes > options_.max_queued_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("the grader's queue is full: ", queue_.size(),
                                                     " responses are waiting, ",
                                                     options_.max_queued, " may wait"));
  }
  for (size_t i = 0; i < requests.size(); ++i) queue_.push_back({&batch, i});
  queued_bytes_ += bytes;
  in_flight_ += static_cast<int64_t>(requests.size());
  auto complete = [&batch] { return batch.left == 0; };
  const absl::Duration look = abandoned ? kLook : absl::InfiniteDuration();
  while (!mutex_.AwaitWithTimeout(absl::Condition(&complete), look)) {
    // Again and again: a child that dies puts what it was at back into the queue.
    if (abandoned()) FailQueued(absl::CancelledError("the caller has left"), &batch);
  }
  if (!batch.failed.ok()) return batch.failed;
  return std::move(batch.results);
}

GraderPool::Counters GraderPool::counters() const {
  absl::MutexLock lock(&mutex_);
  return {in_flight_, restarts_, running_};
}

void GraderPool::Finish(const Job& job, GradeResult result) {
  result.id = job.batch->requests[job.index].id;
  job.batch->results[job.index] = std::move(result);
  --job.batch->left;
  --in_flight_;
}

void GraderPool::FailQueued(const absl::Status& status, const Batch* only) {
  std::erase_if(queue_, [&](const Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (only != nullptr && job.batch != only) return false;
    job.batch->failed = status;
    --job.batch->left;
    --in_flight_;
    queued_bytes_ -= Bytes(job.batch->requests[job.index]);
    return true;
  });
}

bool GraderPool::CanTake() const { return closed_ || !queue_.empty(); }

// The life of one child's thread: the child is started, fed, and replaced here.
void GraderPool::RunChild() {
  std::unique_ptr<GraderProcess> process;
  while (KeepRunning(process)) {
    std::vector<Job> jobs = TakeJobs();
    if (jobs.empty()) break;
    RunJobs(std::move(jobs), process);
  }
}

// Starts the child if there is none. False when the pool closes.
bool GraderPool::KeepRunning(std::unique_ptr<GraderProcess>& process) {
  absl::Duration pause = kFirstPause;
  for (int failures = 0; process == nullptr;) {
    auto started = GraderProcess::Start(options_.binary, options_.start_patience);
    absl::MutexLock lock(&mutex_);
    if (started.ok()) {
      process = *std::move(started);
      ++running_;
      if (starting_ > 0) --starting_;
      continue;
    }
    // A first failure ends Start. Later ones fail callers only if no other child runs either, which
    // would take their work.
    if (starting_ > 0) start_error_ = started.status();
    if (++failures >= kStartFailures && running_ == 0) FailQueued(started.status());
    mutex_.AwaitWithTimeout(absl::Condition(&closed_), pause);
    if (closed_) return false;
    pause = std::min(2 * pause, kLongestPause);
  }
  return true;
}

// What the child gets next: several responses, or one that a process has failed over. Blocks;
// empty when the pool closes.
std::vector<GraderPool::Job> GraderPool::TakeJobs() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &GraderPool::CanTake));
  std::vector<Job> jobs;
  if (closed_) return jobs;
  // A share of the queue, so that one child does not take what idle ones could begin. A response
  // that a process failed over goes alone: if it fails again, it is clear which one did it.
  size_t share = queue_.size() / static_cast<size_t>(options_.children) + 1;
  while (!queue_.empty() && jobs.size() < std::min(kWindow, share)) {
    if (!jobs.empty() && queue_.front().failures > 0) break;
    jobs.push_back(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= Bytes(jobs.back().batch->requests[jobs.back().index]);
    if (jobs.back().failures > 0) break;
  }
  return jobs;
}

void GraderPool::RunJobs(std::vector<Job> jobs, std::unique_ptr<GraderProcess>& process) {
  std::vector<const GradeRequest*> requests;
  for (const Job& job : jobs) requests.push_back(&job.batch->requests[job.index]);
  size_t finished = 0;
  auto done = [&](GradeResult result) {
    absl::MutexLock lock(&mutex_);
    Finish(jobs[finished++], std::move(result));
  };
  GraderProcess::Outcome outcome = process->Run(requests, options_.timeout, done);
  if (outcome == GraderProcess::Outcome::kFinished) return;
  process.reset();
  absl::MutexLock lock(&mutex_);
  --running_;
  ++restarts_;
  // The first without a result is the one that the process was at; those behind it are innocent.
  // From the back to the front of the queue, so that their order stays.
  for (size_t i = jobs.size(); i-- > finished;) {
    Job job = jobs[i];
    if (i == finished && ++job.failures >= options_.attempts) {
      GradeResult result;
      bool died = outcome == GraderProcess::Outcome::kDied;
      result.status = died ? GradeStatus::kCrash : GradeStatus::kTimeout;
      Finish(job, std::move(result));
      continue;
    }
    queued_bytes_ += Bytes(job.batch->requests[job.index]);
    queue_.push_front(job);
  }
}

}  // namespace attnrl::verifier
