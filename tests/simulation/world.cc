// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/world.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/simulation/processes.h"

namespace attnrl::scheduler::simulation {
namespace {

constexpr uint32_t kSteps = 4;
constexpr int kWorkers = 3;
// Once nothing fails any more, a run of this size takes some minutes.
constexpr absl::Duration kPatience = absl::Hours(2);

testing::SimulationOptions Sizes() {
  testing::SimulationOptions sizes;
  sizes.criterion = tree::Criterion::kFci;
  sizes.steps = kSteps;
  sizes.problems = 2;
  sizes.responses = 3;
  return sizes;
}

verifier::GradeResult Grade(const verifier::GradeRequest& request) {
  verifier::GradeResult result;
  result.id = request.id;
  result.status = verifier::GradeStatus::kGraded;
  result.correct = testing::IsRight(request.response);
  return result;
}

}  // namespace

World::World(std::string folder, const WorldOptions& options)
    : folder_(std::move(folder)),
      options_(options),
      random_({.seed = options.seed}),
      calm_(absl::Seconds(60 + random_.Below(240))),
      data_(testing::SevenProblems()),
      text_(testing::ByteTools()),
      verifier_(Grade),
      history_(&disk_) {
  disk_.broken = options.broken;
  // The scheduler asks whether its database is there.
  std::ofstream(folder_ + "/scheduler.db") << "in memory";
}

World::~World() = default;

void World::Tell(const std::string& what) {
  if (options_.tells) std::cout << absl::FormatDuration(now()) << "  " << what << "\n";
}

void World::After(absl::Duration delay, std::function<void()> what) {
  events_.emplace(now() + std::max(delay, absl::ZeroDuration()), std::move(what));
}

absl::Duration World::Between(double least, double most) {
  return absl::Seconds(least + (most - least) * random_.Uniform());
}

absl::Duration World::Latency() { return Chance(20) ? Between(0.05, 8) : Between(0.001, 0.05); }

void World::Watch(std::shared_ptr<Worker> worker) { watched_.push_back(std::move(worker)); }

absl::Status World::Run() {
  StartScheduler();
  Tick();
  for (int i = 0; i < kWorkers; ++i) AddWorker(absl::StrCat("worker-", i));
  AddLearner();
  if (options_.faults) Fail();
  while (history_.verdict().ok() && !Finished()) {
    const auto next = events_.begin();
    if (next->first > calm_ + kPatience) {
      history_.Broken("promises 3 and 6: the run goes on",
                      scheduler_ == nullptr
                          ? "there is no scheduler"
                          : absl::StrCat(scheduler_->Status().reason, "; ",
                                         absl::StrJoin(scheduler_->Status().waits, "; ")));
      break;
    }
    if (next->first > now()) clock_.Advance(next->first - now());
    const auto what = std::move(next->second);
    events_.erase(next);
    what();
  }
  if (history_.verdict().ok()) CheckEnd();
  return history_.verdict();
}

void World::StartScheduler() {
  Scheduler::Parts parts;
  parts.options = testing::OptionsOf(Sizes(), folder_);
  parts.data = &data_;
  parts.text = &text_;
  parts.verifier = &verifier_;
  parts.clock = &clock_;
  parts.threads = false;
  parts.open_store = [this] { return OpenMemoryStore(&disk_); };
  ++life_;
  disk_.dead = false;
  auto scheduler = Scheduler::Start(std::move(parts));
  if (scheduler.ok()) {
    scheduler_ = *std::move(scheduler);
    Tell("the scheduler starts");
    history_.Started(scheduler_->Status());
    return Settle();
  }
  Tell(absl::StrCat("the scheduler doesn't start: ", scheduler.status().ToString()));
  if (!disk_.dead) return history_.Broken("a scheduler starts", scheduler.status().ToString());
  After(Between(0.1, 10), [this] { StartScheduler(); });
}

// Messages that it has not sent are gone with it.
void World::KillScheduler() {
  if (scheduler_ == nullptr) return;
  Tell("the scheduler dies");
  scheduler_.reset();
  disk_.dead = true;
  disk_.dies_in = 0;
  After(Between(0.1, 10), [this] { StartScheduler(); });
}

void World::Settle() {
  if (scheduler_ == nullptr) return;
  // Some of what it had said before is on the wire already.
  if (!disk_.dead || Below(2) == 0) {
    for (const auto& worker : watched_) worker->Collect();
  }
  std::erase_if(watched_,
                [](const auto& worker) { return worker->dead() && !worker->streams_open(); });
  const absl::Status failure = scheduler_->failure();
  if (!failure.ok() && !(disk_.dead && absl::IsAborted(failure))) {
    history_.Broken(disk_.dead ? "a scheduler that has lost its run ends with what its store said"
                               : "a scheduler goes on",
                    failure.ToString());
  }
  if (disk_.dead) KillScheduler();
}

// Rounds of the loop and of the grading.
void World::Tick() {
  if (scheduler_ != nullptr && now() >= stands_until_) {
    scheduler_->Round();
    if (Below(2) == 0) scheduler_->GradeOnce();
    Settle();
  }
  After(Between(0.1, 1), [this] { Tick(); });
}

void World::AddWorker(const std::string& name) {
  workers_.push_back(std::make_shared<Worker>(this, name));
  workers_.back()->Start();
}

void World::AddLearner() {
  learners_.push_back(
      std::make_shared<Learner>(this, absl::StrCat("learner-", learners_.size() + 1)));
  learners_.back()->Start();
}

// Somebody starts another one where each has ended for another's sake.
void World::LearnerEnded() {
  const bool some = std::any_of(learners_.begin(), learners_.end(),
                                [](const auto& learner) { return !learner->dead(); });
  if (!some) AddLearner();
}

bool World::Finished() const {
  return std::any_of(learners_.begin(), learners_.end(),
                     [](const auto& learner) { return learner->finished(); });
}

std::shared_ptr<Worker> World::AnyWorker() {
  std::erase_if(workers_, [](const auto& worker) { return worker->dead(); });
  return workers_.empty() ? nullptr : workers_[Below(workers_.size())];
}

void World::Fault(const std::string& name, std::function<void()> what) {
  Tell(name);
  ++faults_[name];
  what();
  Settle();
}

// Whatever was asked of it, until it has heard.
void World::Resume() {
  if (scheduler_ == nullptr || !scheduler_->Resume().ok()) {
    After(absl::Seconds(1), [this] { Resume(); });
  }
  Settle();
}

// One thing goes wrong, then the next.
void World::Fail() {
  if (now() >= calm_) {
    disk_.dies_in = 0;
    return;
  }
  const auto worker = AnyWorker();
  switch (worker == nullptr ? Below(7) : Below(14)) {
    case 0:
      Fault("kill of the scheduler", [&] { KillScheduler(); });
      break;
    case 1:
      Fault("kill of the scheduler in a transaction", [&] {
        disk_.dies_in = 1 + Below(40);
        disk_.dies_behind_the_commit = Below(2) == 0;
      });
      break;
    case 2:
      Fault("kill of the learner", [&] {
        learners_.back()->Kill();
        AddLearner();
      });
      break;
    case 3:
      Fault("another learner beside one that stands still", [&] {
        learners_.back()->Freeze(Between(0.5, 60));
        AddLearner();
      });
      break;
    case 4:
      Fault("a pause", [&] {
        if (scheduler_ != nullptr) (void)scheduler_->Pause("to see");
        After(Between(1, 30), [this] { Resume(); });
      });
      break;
    case 5:
      Fault("a drain", [&] {
        if (scheduler_ != nullptr) (void)scheduler_->Drain(absl::ZeroDuration());
        After(Between(1, 30), [this] { Resume(); });
      });
      break;
    case 6:
      Fault("the scheduler's loop stands still", [&] { stands_until_ = now() + Between(1, 100); });
      break;
    case 7:
      Fault("a worker leaves", [&] {
        worker->Leave();
        After(Between(0.1, 60), [this, name = worker->name()] { AddWorker(name); });
      });
      break;
    case 8:
      Fault("kill of a worker", [&] {
        worker->Kill();
        After(Between(0.1, 60), [this, name = worker->name()] { AddWorker(name); });
      });
      break;
    case 9:
      Fault("a worker stands still", [&] { worker->Freeze(Between(1, 150)); });
      break;
    case 10:
      Fault("another worker with the name of one that stands still", [&] {
        worker->Freeze(Between(1, 100));
        AddWorker(worker->name());
      });
      break;
    case 11:
      Fault("a broken stream", [&] { worker->Break(); });
      break;
    case 12:
      Fault("a verifier that is away", [&] {
        verifier_.FailCalls(static_cast<int>(1 + Below(20)), absl::UnavailableError("away"));
      });
      break;
    default:
      Fault("work given back", [&] { worker->GiveBack(); });
      break;
  }
  After(Between(0.5, 20), [this] { Fail(); });
}

void World::CheckEnd() {
  if (scheduler_ == nullptr) return;
  if (history_.committed() != kSteps) {
    history_.Broken("every batch is committed", absl::StrCat(history_.committed()));
  }
  // Not every refusal is heard: its stream may have ended.
  if (scheduler_->lease_counters().fenced < history_.fenced()) {
    history_.Broken("promise 2: a late write is counted",
                    absl::StrCat(history_.fenced(), " were refused, counted are ",
                                 scheduler_->lease_counters().fenced));
  }
  std::ifstream metrics(folder_ + "/metrics.jsonl");
  int lines = 0;
  for (std::string line; std::getline(metrics, line); ++lines) {
    if (line.find(absl::StrCat("\"step\":", lines, ",")) == std::string::npos) {
      history_.Broken("one line a step", line);
    }
  }
  if (lines != kSteps) history_.Broken("one line a step", absl::StrCat(lines, " lines"));
}

}  // namespace attnrl::scheduler::simulation
