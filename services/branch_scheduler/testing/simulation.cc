// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/testing/simulation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "services/verifier/testing/fake_verifier_client.h"

namespace attnrl::scheduler::testing {
namespace {

// Texts are their own tokens: one a byte.
std::vector<int32_t> Tokens(const std::string& text) {
  return std::vector<int32_t>(text.begin(), text.end());
}

std::string Text(const std::vector<int32_t>& ids) {
  std::string text;
  for (int32_t id : ids) text.push_back(static_cast<char>(id));
  return text;
}

// A step ends with every line break.
std::vector<StepRange> Steps(uint32_t prompt_tokens, const std::vector<int32_t>& response) {
  std::vector<StepRange> steps = {{0, prompt_tokens}};
  uint32_t start = prompt_tokens;
  for (uint32_t i = 0; i < response.size(); ++i) {
    if (response[i] != '\n' && i + 1 < response.size()) continue;
    steps.emplace_back(start, prompt_tokens + i + 1);
    start = prompt_tokens + i + 1;
  }
  return steps;
}

}  // namespace

SchedulerOptions OptionsOf(const SimulationOptions& sizes, const std::string& folder) {
  SchedulerOptions options;
  options.run_dir = folder;
  options.records = folder;
  options.store.path = folder + "/scheduler.db";
  options.seed = 7;
  options.steps = sizes.steps;
  options.mode = sizes.mode;
  options.first.batch_problems = sizes.problems;
  options.first.initial_responses = sizes.responses;
  options.branching.criterion = sizes.criterion;
  options.tree_advantages = sizes.criterion != tree::Criterion::kNone;
  options.branching.min_distance = 2;
  options.branching.delta = 1;
  options.adaptive.expand = sizes.adaptive ? tree::Expand::kDifficulty : tree::Expand::kAll;
  options.adaptive.filter_solved = sizes.adaptive;
  options.adaptive.adaptive_batch = sizes.adaptive;
  options.adaptive.batch_max = sizes.problems + 3;
  options.first.max_response_tokens = 64;
  if (sizes.other_data_from > 0) {
    StageOptions& later = options.later[sizes.other_data_from];
    later = options.first;
    later.data = 1;
  }
  options.stop_ids = {'.'};
  options.vocabulary = 256;
  options.deterministic = sizes.deterministic;
  options.max_empty_batches = sizes.max_empty_batches;
  options.fingerprint = {{"run.seed", "7"}};
  return options;
}

TextTools ByteTools() { return TextTools{Text, Steps}; }

DataSet SevenProblems() {
  DataSet data;
  for (int i = 0; i < 7; ++i) {
    data.problems.push_back(
        DataProblem{absl::StrCat("p", i), Tokens(absl::StrCat("q", i, "?")), {"1"}});
  }
  return data;
}

DataSet ThreeParts() {
  DataSet other;
  for (int i = 0; i < 5; ++i) {
    other.problems.push_back(
        DataProblem{absl::StrCat("o", i), Tokens(absl::StrCat("other", i, "?")), {"1"}});
  }
  return Join({SevenProblems(), std::move(other), SevenProblems()});
}

bool IsRight(std::string_view response) { return response.ends_with("=1."); }

std::string Digest(uint32_t version) { return absl::StrCat("digest-of-", version); }

BatchCommit CommitOf(uint32_t batch, const std::string& digest, bool replayed) {
  BatchCommit commit;
  commit.batch = batch;
  commit.version = Version{batch + 1, digest};
  commit.replayed = replayed;
  return commit;
}

BatchRequest RequestOf(uint32_t batch, uint32_t version, bool replay) {
  BatchRequest request;
  request.batch = batch;
  request.version = Version{version, Digest(version)};
  request.replay = replay;
  return request;
}

std::map<uint32_t, TrainingBatch> Undisturbed(const SimulationOptions& options,
                                              uint64_t* transactions) {
  Simulation run(options);
  EXPECT_TRUE(run.Start().ok());
  EXPECT_TRUE(run.RunToEnd());
  *transactions = run.transactions();
  return run.batches();
}

// A run syncs its disk at every step.
Simulation::Simulation(const SimulationOptions& options)
    : Simulation(std::make_unique<TemporaryFolder>(TemporaryFolder::On::kMemory), "", options) {}

Simulation::Simulation(std::string folder, const SimulationOptions& options)
    : Simulation(nullptr, std::move(folder), options) {}

Simulation::Simulation(std::unique_ptr<TemporaryFolder> own, std::string folder,
                       const SimulationOptions& options)
    : own_(std::move(own)),
      folder_(own_ != nullptr ? own_->path() : std::move(folder)),
      sizes_(options) {
  std::filesystem::create_directories(folder_);
  options_ = OptionsOf(options, folder_);
  data_ = options.other_data_from > 0 ? ThreeParts() : SevenProblems();
  text_ = ByteTools();
  verifier_ =
      std::make_unique<verifier::FakeVerifierClient>([this](const verifier::GradeRequest& request) {
        if (grade) return grade(request);
        verifier::GradeResult result;
        result.id = request.id;
        result.status = verifier::GradeStatus::kGraded;
        result.correct = IsRight(request.response);
        result.extracted = result.correct ? "1" : "0";
        result.matched = result.correct ? 0 : -1;
        return result;
      });
  for (uint32_t i = 0; i < options.workers; ++i) {
    workers_.push_back(SimulatedWorker{absl::StrCat("worker-", i)});
  }
}

// Before the folder.
Simulation::~Simulation() { scheduler_.reset(); }

absl::Status Simulation::Start() {
  Scheduler::Parts parts;
  parts.options = options_;
  parts.data = &data_;
  parts.text = &text_;
  parts.verifier = verifier_.get();
  parts.clock = threads_ ? &Clock::Real() : static_cast<Clock*>(&clock_);
  parts.threads = threads_;
  if (threads_) parts.options.adoption_grace = absl::Milliseconds(200);
  auto scheduler = Scheduler::Start(parts);
  if (!scheduler.ok()) return scheduler.status();
  scheduler_ = *std::move(scheduler);
  return absl::OkStatus();
}

void Simulation::Kill() {
  transactions_before_ = transactions();
  scheduler_.reset();
  for (SimulatedWorker& worker : workers_) worker.session.reset();
}

uint64_t Simulation::transactions() const {
  return transactions_before_ + (scheduler_ ? scheduler_->store_commits() : 0);
}

bool Simulation::KilledHere() {
  if (kill_after_ == 0 || transactions() < kill_after_) return false;
  kill_after_ = 0;
  killed_ = true;
  Kill();
  if (!Start().ok()) std::abort();
  return true;
}

ItemResult Simulation::Sample(const WorkItem& item, LeaseId lease, bool all_correct) {
  ItemResult result;
  result.lease = lease;
  result.item = item.item;
  result.version = item.version;
  const double start = 10.0 * item.batch + 0.01 * item.position;
  result.span = Span{start, start + 0.5};
  result.prefill_tokens = item.prompt_ids.size();
  result.reused_tokens = item.kind == ItemKind::kContinuation ? 3 : 0;
  for (const SampleRequest& request : item.samples) {
    RandomKey key;
    key.seed = item.sampling.seed;
    key.purpose = kSampleToken;
    key.batch = item.batch;
    key.position = item.position;
    key.node = request.node;
    std::string text;
    const uint64_t lines = RandomBits(key, 0) % 4;
    for (uint64_t line = 0; line < lines; ++line) absl::StrAppend(&text, "ab\n");
    const bool right = all_correct || RandomBits(key, 1) % 2 == 0;
    absl::StrAppend(&text, "x=", right ? "1" : "0", ".");
    SampleResult sample;
    sample.node = request.node;
    sample.token_ids = Tokens(text);
    for (size_t i = 0; i < text.size(); ++i) {
      const auto step = static_cast<float>(i);
      sample.logprobs.push_back(-0.125f * static_cast<float>(item.version.number) - 0.01f * step);
      sample.entropy.push_back(
          static_cast<float>(RandomUniform(key, 2 + static_cast<uint32_t>(i))));
    }
    if (item.score_delta) {
      sample.steps = Steps(static_cast<uint32_t>(item.prompt_ids.size()), sample.token_ids);
      for (uint32_t k = 0; k < sample.steps.size(); ++k) {
        const auto score = static_cast<float>(RandomUniform(key, 1000 + k));
        sample.fci.push_back(k < 2 ? 0.0f : score);
      }
    }
    result.samples.push_back(std::move(sample));
  }
  return result;
}

void Simulation::RunWorker(SimulatedWorker& worker) {
  if (worker.absent) return;
  if (!worker.session) {
    Register hello;
    hello.worker = worker.name;
    hello.capacity = hello.credits = sizes_.credits;
    hello.numerics_id = "simulated";
    for (const auto& [lease, item] : worker.leases) hello.held.push_back({lease, item.item});
    for (const auto& [lease, result] : worker.unacknowledged) {
      hello.held.push_back({lease, result.item});
    }
    auto session = scheduler_->Connect(hello);
    if (!session.ok()) return;
    worker.session = *session;
  }
  std::optional<absl::Status> over;
  while (auto message = worker.session->Next(&over)) {
    if (const auto* registered = std::get_if<Registered>(&*message)) {
      auto lost = [&](const auto& entry) {
        const auto& adopted = registered->adopted;
        return std::find(adopted.begin(), adopted.end(), entry.first) == adopted.end();
      };
      std::erase_if(worker.leases, lost);
      std::erase_if(worker.unacknowledged, lost);
      for (const auto& [lease, result] : worker.unacknowledged) {
        (void)scheduler_->Receive(worker.session, result);
      }
    } else if (auto* lease = std::get_if<Lease>(&*message)) {
      worker.leases[lease->lease] = std::move(lease->item);
    } else if (const auto* ack = std::get_if<Ack>(&*message)) {
      worker.verdicts[ack->lease] = ack->verdict;
      worker.unacknowledged.erase(ack->lease);
    } else if (const auto* cancel = std::get_if<Cancel>(&*message)) {
      for (const LeaseId taken : cancel->leases) worker.leases.erase(taken);
    }
  }
  if (over.has_value()) worker.session.reset();
  if (worker.silent || !worker.session) return;
  for (const auto& [lease, item] : worker.leases) {
    const ItemResult result = Sample(item, lease, sizes_.all_correct);
    worker.unacknowledged[lease] = result;
    (void)scheduler_->Receive(worker.session, result);
  }
  worker.leases.clear();
}

void Simulation::RunLearner() {
  if (learner_absent || version >= options_.steps) return;
  if (!commit_ && (!TakeBatch() || sizes_.training_takes_a_round)) return;
  auto reply = scheduler_->Commit(*commit_);
  learner_error = reply.status();
  if (!reply.ok()) return;
  if (KilledHere()) return;  // the answer is lost: the learner commits again, and asks nothing else
  checkpoint = commit_->checkpoint_step;
  commit_.reset();
  ++version;
}

// Gets the next batch and trains it. False when there is none yet.
bool Simulation::TakeBatch() {
  BatchRequest request;
  request.batch = version;
  request.version = Version{version, Digest(version)};
  request.checkpoint_step = checkpoint;
  learner_error = scheduler_->Announce(request);
  if (!learner_error.ok() || KilledHere()) return false;
  auto batch = scheduler_->AwaitBatch(request, absl::ZeroDuration(), &last_reason);
  learner_error = batch.status();
  if (!batch.ok() || !batch->has_value()) return false;
  batches_[version] = **batch;
  BatchCommit commit;
  commit.batch = version;
  commit.version = Version{version + 1, Digest(version + 1)};
  const bool checkpoint_here =
      (version + 1) % sizes_.checkpoint_every == 0 || version + 1 == options_.steps;
  commit.checkpoint_step = checkpoint_here ? version + 1 : checkpoint;
  commit.statistics.loss = 0.5;
  const double start = 10.0 * version + 5;
  if (!(*batch)->samples.empty()) commit.statistics.train = Span{start, start + 4};
  commit_ = std::move(commit);
  return true;
}

bool Simulation::Tick() {
  clock_.Advance(absl::Seconds(1));
  for (SimulatedWorker& worker : workers_) {
    RunWorker(worker);
    if (KilledHere()) return true;
  }
  scheduler_->Step();
  if (KilledHere()) return true;
  while (scheduler_->GradeOnce()) {
  }
  scheduler_->Step();
  if (KilledHere()) return true;
  RunLearner();
  return version < options_.steps;
}

bool Simulation::RunToEnd(int rounds) {
  for (int round = 0; round < rounds; ++round) {
    if (!Tick()) return true;
  }
  return false;
}

std::vector<std::string> Simulation::Lines(const std::string& file) const {
  std::ifstream in(folder_ + "/" + file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<nlohmann::json> Simulation::Trees(uint32_t batch) const {
  std::vector<nlohmann::json> records;
  for (const std::string& line : Lines(absl::StrCat("trees/batch-", batch, ".jsonl"))) {
    records.push_back(nlohmann::json::parse(line));
  }
  return records;
}

}  // namespace attnrl::scheduler::testing
