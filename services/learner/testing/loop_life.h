// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/testing/fake_batch_source.h"
#include "services/learner/checkpoint/resume_point.h"
#include "services/learner/loop.h"
#include "services/learner/testing/training_batches.h"

namespace attnrl::learner {

// For tests only.

class RecordingObserver final : public LoopObserver {
 public:
  void Waiting(uint32_t, const std::string&) override {
    if (on_waiting) on_waiting();
  }
  void Refused(uint32_t, const absl::Status&) override { ++refused; }
  void Done(const StepReport& report) override {
    reports.push_back(report);
    if (on_done) on_done(report);
  }

  std::function<void()> on_waiting;
  std::function<void(const StepReport&)> on_done;
  std::vector<StepReport> reports;
  int refused = 0;
};

// One life of a learner process over the files of a run.
struct Life {
  Life(const std::string& model, const std::string& run, LoopOptions options = {},
       at::Device device = at::kCPU, RankGroup* group = nullptr)
      : trainer(TinyTrainer(model, TinyOptions(), model::DType::kFloat32, group, device)),
        checkpoints(CheckpointStore::Open(run).value()),
        versions(VersionStore::Open(run).value()),
        loop(Complete(std::move(options), model), *trainer, *checkpoints, *versions, batches, clock,
             observer) {}

  static LoopOptions Complete(LoopOptions options, const std::string& model) {
    options.schedule = {pipeline::PipelineMode::kOnPolicy, false};
    options.model_folder = model;
    return options;
  }
  absl::Status Prepare() {
    const auto start = FindResumePoint(*checkpoints, *versions);
    return start.ok() ? loop.Prepare(*start) : start.status();
  }
  absl::Status PrepareAndRun() {
    absl::Status status = Prepare();
    return status.ok() ? loop.Run() : status;
  }
  void AddBatches(uint32_t steps) {
    for (uint32_t b = 0; b < steps; ++b) batches.Add(TinyBatch(b, 3, b + 1 == steps));
  }
  // Ends the life after `batch` as kill -9 would: nothing more is written.
  void DieAfter(uint32_t batch) {
    observer.on_done = [this, batch](const StepReport& report) {
      if (report.batch == batch) batches.FailNext(absl::InternalError("killed"));
    };
  }
  std::map<uint32_t, std::string> Digests() const {
    std::map<uint32_t, std::string> digests;
    for (const auto& commit : batches.commits()) {
      digests[commit.version.number] = commit.version.digest;
    }
    return digests;
  }

  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<CheckpointStore> checkpoints;
  std::unique_ptr<VersionStore> versions;
  scheduler::FakeBatchSource batches;
  FakeClock clock;
  RecordingObserver observer;
  LearnerLoop loop;
};

class LoopTest : public ::testing::Test {
 protected:
  LoopTest() { WriteTinyModel(model_.path()); }

  // The digests of an undisturbed run.
  std::map<uint32_t, std::string> Undisturbed(uint32_t steps, const LoopOptions& options = {},
                                              at::Device device = at::kCPU) {
    TemporaryFolder run;
    Life life(model_.path(), run.path(), options, device);
    life.AddBatches(steps);
    EXPECT_TRUE(life.PrepareAndRun().ok());
    return life.Digests();
  }
  bool Exists(const std::string& path) const {
    return std::filesystem::exists(run_.path() + "/" + path);
  }

  TemporaryFolder model_, run_;
};

}  // namespace attnrl::learner
