// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/testing/run_bench.h"

#include <gtest/gtest.h>

#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler::testing {

RunBench::RunBench(const SimulationOptions& sizes) : all_correct_(sizes.all_correct) {
  options = OptionsOf(sizes, folder_.path());
}

absl::Status RunBench::Open() {
  Close();
  auto store = OpenStore(options.store);
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  auto run = Run::Open({&options, &data, &text, store_.get(), &clock});
  if (!run.ok()) return run.status();
  run_ = *std::move(run);
  Collect();
  return absl::OkStatus();
}

void RunBench::Close() {
  run_.reset();
  store_.reset();
  open.clear();
  ungraded.clear();
}

void RunBench::Collect() {
  for (const Run::Runnable& runnable : run_->TakeRunnable()) {
    // The run says again what is still open.
    EXPECT_EQ(open.emplace(runnable.item, runnable.version).first->second, runnable.version);
  }
  for (const GradeTask& task : run_->TakeGradeTasks()) {
    EXPECT_TRUE(ungraded.emplace(task.item, task).second) << "to be graded twice";
  }
}

absl::Status RunBench::InTransaction(const std::function<absl::Status()>& work) {
  EXPECT_TRUE(store_->Begin().ok());
  absl::Status status = work();
  if (status.ok()) {
    status = store_->Commit();
  } else {
    store_->Rollback();
  }
  Collect();
  return status;
}

absl::Status RunBench::Announce(const BatchRequest& request) {
  return InTransaction([&] { return run_->Announce(request); });
}

absl::Status RunBench::AnnounceVersion(uint32_t version, uint32_t checkpoint_step) {
  BatchRequest request = RequestOf(version, version);
  request.checkpoint_step = checkpoint_step;
  return Announce(request);
}

absl::StatusOr<CommitReply> RunBench::Commit(const BatchCommit& commit) {
  absl::StatusOr<CommitReply> reply = absl::UnknownError("not asked");
  absl::Status status = InTransaction([&] {
    reply = run_->Commit(commit);
    return reply.status();
  });
  if (!status.ok()) return status;
  return reply;
}

ItemResult RunBench::ResultOf(ItemId item) const {
  return Simulation::Sample(run_->MakeItem(item), LeaseId{Number(item)}, all_correct_);
}

bool RunBench::SampleOne() {
  if (open.empty()) return false;
  const ItemResult result = ResultOf(open.begin()->first);
  open.erase(open.begin());
  const auto admitted = run_->Admit(result);
  EXPECT_EQ(admitted.status(), absl::OkStatus());
  EXPECT_EQ(InTransaction([&] { return run_->AddResult("w", *admitted); }), absl::OkStatus());
  return true;
}

bool RunBench::GradeOne() {
  if (ungraded.empty()) return false;
  const GradeTask task = ungraded.begin()->second;
  ungraded.erase(ungraded.begin());
  GradedItem graded;
  graded.item = task.item;
  graded.span = Span{1, 2};
  for (const std::vector<int32_t>& response : task.responses) {
    Grade grade{.status = verifier::GradeStatus::kGraded};
    grade.correct = IsRight(text.decode(response));
    graded.grades.push_back(grade);
  }
  EXPECT_EQ(InTransaction([&] { return run_->AddGrades(graded); }), absl::OkStatus());
  return true;
}

void RunBench::Work() {
  while (SampleOne() || GradeOne()) {
  }
}

void RunBench::TrainTo(uint32_t batches) {
  while (run_->committed() < batches) {
    const uint32_t batch = run_->committed();
    ASSERT_EQ(AnnounceVersion(batch, checkpoint), absl::OkStatus());
    Work();
    ASSERT_TRUE(Batch(batch).has_value()) << reason;
    BatchCommit commit = CommitOf(batch, Digest(batch + 1));
    if (checkpoint_every != 0 && (batch + 1) % checkpoint_every == 0) checkpoint = batch + 1;
    commit.checkpoint_step = checkpoint;
    ASSERT_TRUE(Commit(commit).ok());
  }
}

std::optional<TrainingBatch> RunBench::Batch(uint32_t number) {
  auto batch = run_->Batch(number, &reason);
  EXPECT_TRUE(batch.ok()) << batch.status();
  return batch.ok() ? *batch : std::nullopt;
}

}  // namespace attnrl::scheduler::testing
