// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/server.h"
#include "services/branch_scheduler/client/batch_source.h"
#include "services/branch_scheduler/client/work_stream.h"
#include "services/branch_scheduler/rpc/branch_scheduler_service.h"
#include "services/branch_scheduler/scheduler.h"
#include "services/verifier/client/verifier_client.h"
#include "tests/bench/pipeline/link.h"
#include "tests/bench/pipeline/timeline.h"

// Runs of a real scheduler with stages that only take time: workers whose samples last as long as
// their tokens, a verifier that answers at once, and a learner that sleeps.
namespace attnrl::bench {

struct WorldOptions {
  pipeline::PipelineMode mode = pipeline::PipelineMode::kOverlapped;
  bool branches = true;
  uint32_t workers = 8;
  uint32_t slots = 16;  // of each worker
  uint32_t problems = 32;
  uint32_t responses = 8;
  uint32_t steps = 12;
  uint32_t data = 10000;  // problems of the data set
  absl::Duration token = absl::Milliseconds(50);
  absl::Duration learn = absl::ZeroDuration();
  // From a worker to the scheduler, and back.
  absl::Duration way = absl::Milliseconds(5);
  // By the jumping clock: from a result to the round that commits it.
  absl::Duration commit = absl::Milliseconds(15);
  // Workers hold a quarter more than their slots, whatever they finish, as they once did.
  bool hoards = false;
  bool real = false;  // by the real clock, with the scheduler's own threads
  bool rpc = false;   // real: workers and learner call it over gRPC, on a Unix socket
};

struct Figures {
  // The pipeline fills in the first steps, and the last have nothing beside them: neither counts.
  static constexpr size_t kFirst = 3, kLast = 2;
  absl::Duration StepTime() const;
  // All slots' time with a sample, of a step.
  absl::Duration BusyTime() const;

  std::vector<absl::Duration> committed;  // when each step was
  // By batch: all samples' time, the longest one's, and when the first began and the last ended.
  std::map<uint32_t, absl::Duration> busy, longest, begun, sampled;
};

class Worker;

class World {
 public:
  World(std::string folder, const WorldOptions& options);
  ~World();

  // The whole run.
  absl::StatusOr<Figures> Run();

  // ---- for workers
  const WorldOptions& options() const { return options_; }
  Timeline& timeline() { return timeline_; }
  absl::StatusOr<std::unique_ptr<Link>> Connect(const scheduler::Register& hello, Link::Hear hear);
  // The scheduler has something to do.
  void Stir();
  // A sample has been taken; so long did it last.
  void Note(const scheduler::WorkItem& item, absl::Duration took);

 private:
  absl::Status Start();
  absl::Status Serve();
  void Round();
  void AskForBatch();
  void AskByRpc();
  void Learn(uint32_t batch);

  const std::string folder_;
  const WorldOptions options_;
  Timeline timeline_;
  scheduler::DataSet data_;
  scheduler::TextTools text_;
  std::unique_ptr<verifier::VerifierClient> verifier_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  // With gRPC alone.
  std::unique_ptr<scheduler::BranchSchedulerService> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<scheduler::WorkConnector> connector_;
  std::unique_ptr<scheduler::BatchSource> batches_;
  std::thread asks_;  // for a batch
  std::vector<std::unique_ptr<Worker>> workers_;
  Figures figures_;
  absl::Status failure_;
  absl::Duration waited_since_;
  uint32_t version_ = 0;
  bool learns_ = false, announced_ = false, stirred_ = false, over_ = false;
};

// What a worker samples: as many tokens as the problem and chance make it, long-tailed.
scheduler::ItemResult Sample(const scheduler::WorkItem& item, scheduler::LeaseId lease);

}  // namespace attnrl::bench
