// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/pipeline/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/branch_scheduler/testing/simulation.h"
#include "tests/bench/pipeline/worker.h"

namespace attnrl::bench {
namespace {

using scheduler::testing::CommitOf;
using scheduler::testing::Digest;
using scheduler::testing::RequestOf;

// Four times the mean.
constexpr uint32_t kMostTokens = 240;
constexpr absl::Duration kAskAgain = absl::Milliseconds(5);
constexpr absl::Duration kPatience = absl::Hours(48);

class QuickVerifier final : public verifier::VerifierClient {
 public:
  absl::StatusOr<std::vector<verifier::GradeResult>> Verify(
      const std::vector<verifier::GradeRequest>& requests, absl::Duration) override {
    std::vector<verifier::GradeResult> results;
    for (const verifier::GradeRequest& request : requests) {
      verifier::GradeResult& result = results.emplace_back();
      result.id = request.id;
      result.status = verifier::GradeStatus::kGraded;
      result.correct = scheduler::testing::IsRight(request.response);
      result.matched = result.correct ? 0 : -1;
    }
    return results;
  }
  void Cancel() override {}  // no call lasts
};

}  // namespace

absl::Duration Figures::StepTime() const {
  return (committed[committed.size() - 1 - kLast] - committed[kFirst - 1]) /
         static_cast<double>(committed.size() - kFirst - kLast);
}

absl::Duration Figures::BusyTime() const {
  absl::Duration sum;
  size_t count = 0;
  for (const auto& [batch, time] : busy) {
    if (batch < kFirst || batch + kLast >= committed.size()) continue;
    sum += time;
    ++count;
  }
  return sum / static_cast<double>(count);
}

World::World(std::string folder, const WorldOptions& options)
    : folder_(std::move(folder)),
      options_(options),
      timeline_(options.real),
      text_(scheduler::testing::ByteTools()),
      verifier_(std::make_unique<QuickVerifier>()) {
  for (uint32_t i = 0; i < options.data; ++i) {
    const std::string prompt = absl::StrCat("q", i, "?");
    data_.problems.push_back({absl::StrCat("p", i), {prompt.begin(), prompt.end()}, {"1"}});
  }
}

World::~World() {
  if (batches_ != nullptr) batches_->Cancel();
  if (asks_.joinable()) asks_.join();
  if (scheduler_ != nullptr) scheduler_->Stop();
  server_.reset();
  service_.reset();
  scheduler_.reset();  // before the workers, whom its sessions wake
}

absl::Status World::Serve() {
  service_ = std::make_unique<scheduler::BranchSchedulerService>(scheduler_.get());
  ATTNRL_ASSIGN_OR_RETURN(
      server_,
      rpc::Server::Start({.address = absl::StrCat("unix:", folder_, "/s.sock")}, {service_.get()}));
  ATTNRL_ASSIGN_OR_RETURN(connector_, scheduler::ConnectWork(server_->address()));
  ATTNRL_ASSIGN_OR_RETURN(batches_, scheduler::ConnectBatchSource(server_->address()));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Link>> World::Connect(const scheduler::Register& hello,
                                                     Link::Hear hear) {
  return options_.rpc ? LinkByStream(connector_.get(), &timeline_, hello, std::move(hear))
                      : LinkByCalls(scheduler_.get(), &timeline_, hello, std::move(hear));
}

absl::Status World::Start() {
  scheduler::testing::SimulationOptions sizes;
  sizes.mode = options_.mode;
  sizes.criterion = options_.branches ? tree::Criterion::kFci : tree::Criterion::kNone;
  sizes.steps = options_.steps;
  sizes.problems = options_.problems;
  sizes.responses = options_.responses;
  scheduler::Scheduler::Parts parts;
  parts.options = scheduler::testing::OptionsOf(sizes, folder_);
  parts.options.first.max_response_tokens = kMostTokens;
  parts.options.max_empty_batches = 1000;
  parts.options.trees_kept = 1;
  parts.options.compress_trees = true;
  parts.options.unknown_grace = absl::ZeroDuration();
  // Nobody renews here.
  parts.options.lease = kPatience;
  parts.data = &data_;
  parts.text = &text_;
  parts.verifier = verifier_.get();
  parts.clock = &timeline_.clock();
  parts.threads = options_.real;
  ATTNRL_ASSIGN_OR_RETURN(scheduler_, scheduler::Scheduler::Start(std::move(parts)));
  if (options_.rpc) ATTNRL_RETURN_IF_ERROR(Serve());
  for (uint32_t i = 0; i < options_.workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(this, absl::StrCat("worker-", i)));
    ATTNRL_RETURN_IF_ERROR(workers_.back()->Connect());
  }
  return absl::OkStatus();
}

absl::StatusOr<Figures> World::Run() {
  ATTNRL_RETURN_IF_ERROR(Start());
  waited_since_ = timeline_.now();
  AskForBatch();
  timeline_.Run([this] { return over_ || !failure_.ok(); });
  ATTNRL_RETURN_IF_ERROR(failure_);
  if (!over_) return absl::InternalError("nothing happens any more");
  return figures_;
}

void World::Note(const scheduler::WorkItem& item, absl::Duration took) {
  figures_.busy[item.batch] += took;
  figures_.longest[item.batch] = std::max(figures_.longest[item.batch], took);
  const auto [begun, first] = figures_.begun.try_emplace(item.batch, timeline_.now() - took);
  if (!first) begun->second = std::min(begun->second, timeline_.now() - took);
  figures_.sampled[item.batch] = timeline_.now();
}

void World::Stir() {
  if (options_.real || std::exchange(stirred_, true)) return;
  timeline_.After(options_.commit, [this] {
    stirred_ = false;
    Round();
  });
}

void World::Round() {
  scheduler_->Step();
  while (scheduler_->GradeOnce()) {
  }
  scheduler_->Step();
  failure_.Update(scheduler_->failure());
  AskForBatch();
}

void World::AskForBatch() {
  if (learns_ || over_) return;
  if (options_.rpc) return AskByRpc();
  std::string reason;
  const scheduler::BatchRequest request = RequestOf(version_, version_);
  absl::Status status = absl::OkStatus();
  if (!std::exchange(announced_, true)) status = scheduler_->Announce(request);
  if (status.ok()) {
    const auto batch = scheduler_->AwaitBatch(request, absl::ZeroDuration(), &reason);
    status = batch.status();
    if (batch.ok() && batch->has_value()) return Learn(version_);
  }
  failure_.Update(status);
  if (options_.real) timeline_.After(kAskAgain, [this] { AskForBatch(); });
}

void World::AskByRpc() {
  asks_ = std::thread([this, request = RequestOf(version_, version_)] {
    const absl::Status status = batches_->NextBatch(request, nullptr).status();
    timeline_.Post([this, status] {
      asks_.join();
      failure_.Update(status);
      if (status.ok()) Learn(version_);
    });
  });
}

void World::Learn(uint32_t batch) {
  learns_ = true;
  const double start = UnixSeconds(timeline_.clock().Now());
  const double waited = absl::ToDoubleSeconds(timeline_.now() - waited_since_);
  timeline_.After(options_.learn, [this, batch, start, waited] {
    scheduler::BatchCommit commit = CommitOf(batch, Digest(batch + 1));
    commit.statistics.wait_seconds = waited;
    const double now = UnixSeconds(timeline_.clock().Now());
    commit.statistics.train = {start, now};
    commit.statistics.sync = {now, now};
    failure_.Update(options_.rpc ? batches_->CommitBatch(commit, nullptr).status()
                                 : scheduler_->Commit(commit).status());
    figures_.committed.push_back(timeline_.now());
    over_ = ++version_ == options_.steps;
    learns_ = announced_ = false;
    waited_since_ = timeline_.now();
    AskForBatch();
  });
}

}  // namespace attnrl::bench
