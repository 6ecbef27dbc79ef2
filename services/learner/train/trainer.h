// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/model/transformer.h"
#include "services/branch_scheduler/types.h"
#include "services/learner/parameters/adamw.h"
#include "services/learner/parameters/parameters.h"
#include "services/learner/ranks/rank_group.h"
#include "services/learner/reference/reference.h"
#include "services/learner/schedule/learning_rate.h"
#include "services/learner/train/objective.h"
#include "services/learner/train/pass.h"
#include "services/learner/train/pass_gradient.h"
#include "services/learner/train/pass_samples.h"

namespace attnrl::learner {

// What a stage of the run may set anew (common/config/README.md, "Stages").
struct TrainerStage {
  double learning_rate = 1e-6;  // between warm-up and decay
  int64_t initial_responses = 6;
  int64_t max_response_tokens = 8192;  // what kSequenceSum divides by
  bool operator==(const TrainerStage&) const = default;
};

struct TrainerOptions {
  ObjectiveOptions objective;
  AdamWOptions adamw;  // its learning rate is the stage's
  TrainerStage first = {};
  std::map<int64_t, TrainerStage> later = {};  // by the batch that a stage begins with
  RateSchedule rate = {};  // by the number of the batch; its peak is the stage's learning rate
  double max_grad_norm = 1;
  uint64_t seed = 0;
  int64_t minibatch_problems = 32;
  int64_t steps_per_batch = 0;  // 0: minibatch_problems says it
  double temperature = 1;       // that the tokens were sampled with
  bool mask_truncated = false;  // leave truncated responses out
  Aggregation aggregation = Aggregation::kTokenMean;
  int64_t max_tokens_per_pass = 16384;
  CheckpointLayers checkpoint = CheckpointLayers::kAuto;
  // The same bits with 1, 2 and 4 ranks, at the cost of three more gradients in memory.
  bool deterministic = false;
  LoraOptions lora = {};
  Parameters::Moments moments = Parameters::Moments::kOnDevice;  // the same bits either way
  ReferenceOptions reference = {};                               // the same bits wherever it lies
  Prefixes prefixes = Prefixes::kOnce;  // the same gradient either way, up to rounding

  const TrainerStage& At(uint32_t batch) const;
};

// What a checkpoint keeps of a trainer besides tensors.
struct TrainerCounters {
  int64_t updates = 0;            // optimizer steps taken: AdamW's step number
  int64_t nonfinite = 0;          // optimizer steps skipped for a loss or gradient not finite
  int64_t replay_mismatches = 0;  // replayed batches that ended with other bits than published
  // The last batches that had an optimizer step, as long as every one of them was skipped for that.
  int64_t nonfinite_batches = 0;
  bool operator==(const TrainerCounters&) const = default;
};

// The flat tensors that a checkpoint keeps.
enum class StateTensor : char { kMasters, kFirstMoment, kSecondMoment };
// All of them, in the order in which they are handed over and written.
inline constexpr std::array kStateTensors = {StateTensor::kMasters, StateTensor::kFirstMoment,
                                             StateTensor::kSecondMoment};

// Gets a copy of a trainer's state piece by piece. Called by the trainer's thread.
class StateSink {
 public:
  virtual ~StateSink() = default;
  // Bytes that Take would accept now without waiting; at some time as many as the largest bucket
  // of the layout has.
  virtual int64_t Room() = 0;
  // The next tensor, in float32, in the order of kStateTensors and of each in byte order of the
  // names. `tensor` changes after the call.
  virtual void Take(StateTensor which, const std::string& name, const at::Tensor& tensor) = 0;
};

// Turns W(b) into W(b+1): PPO on the samples of one batch (services/learner/train/README.md,
// "Objective"), with float32 masters, in the compute dtype's arithmetic.
// The same state, batch, options, thread count and ranks give the same bits. Knows no files and no
// versions. One thread calls it; Train blocks for seconds to minutes. Memory: Parameters, the
// reference model where there is a KL term, and PassGradient for max_tokens_per_pass rows.
//
// Of several ranks each computes its parts of every minibatch. Rank 0 leads: the others are in
// Follow and do what it does. A rank that fails makes the calls of the others fail with its name.
class Trainer {
 public:
  // `weights`, those that the run started from, become the masters as precise as they are. Rounded
  // to the compute dtype they are the reference model, where there is a KL term, and what adapters
  // change. `group`: null for a process that trains alone; else outlives this. Throws
  // ReferenceError where the reference can't be kept where it shall be.
  Trainer(const model::ModelConfig& config, model::Tensors weights, model::DType compute,
          const TrainerOptions& options, RankGroup* group = nullptr);

  // Trains on one batch; its samples were checked by CheckBatch. `abandon` is asked between passes;
  // when it says yes the result is CANCELLED and the trainer is in the middle of a batch: drop it.
  // Fills every field but wait_seconds, sync and checkpoint. No samples: no update, means are NaN.
  absl::StatusOr<scheduler::TrainStatistics> Train(const scheduler::TrainingBatch& batch,
                                                   const std::function<bool()>& abandon);

  // Begins to hand `sink`, which outlives that, the state of all ranks as it is now. Train and
  // KeepAlive go on with it whenever the sink has room; before the state changes, Train hands over
  // what is left, and waits for the sink.
  absl::Status BeginCopy(StateSink* sink);
  // Hands over what is left; nothing where nothing was begun.
  absl::Status FinishCopy();
  bool copying() const { return copy_.has_value(); }
  // How long training stood still for the copy begun last, without what its reader does with it.
  absl::Duration copy_time() const { return copy_time_; }

  // Takes one flat tensor, whose parts `read` gives one by one; InvalidArgument, before anything is
  // read, where `shapes` aren't those of the model's tensors. After all three, Resume makes the
  // trainer go on from them.
  absl::Status Assign(StateTensor which, const Parameters::Shapes& shapes,
                      const Parameters::Read& read);
  absl::Status Resume(const TrainerCounters& counters);

  // Rank 0, where it waits for a while: goes on with a copy; shows the others that it is alive, and
  // finds out whether they are.
  absl::Status KeepAlive();
  // Rank 0, at the end: Follow of the others returns, OK where the run has finished, otherwise
  // UNAVAILABLE.
  absl::Status Release(bool finished);
  // The others: does what rank 0 does until Release. `abandon` is asked before each batch; when it
  // says yes the result is CANCELLED.
  absl::Status Follow(const std::function<bool()>& abandon);

  // The minibatches of a batch, as indices of samples.
  std::vector<std::vector<size_t>> Minibatches(const scheduler::TrainingBatch& batch) const;

  // The gradient of the objective over one minibatch, before clipping, in
  // parameters().gradient(); the statistics of its tokens, over all ranks.
  absl::StatusOr<ObjectiveSums> Gradient(const scheduler::TrainingBatch& batch,
                                         const std::vector<size_t>& minibatch,
                                         const std::function<bool()>& abandon);

  Parameters& parameters() { return parameters_; }
  const TrainerCounters& counters() const { return counters_; }
  // A replayed batch ended with other bits than were published.
  void CountReplayMismatch() { ++counters_.replay_mismatches; }
  const TrainerOptions& options() const { return options_; }
  // Rows of all forward passes of the policy so far: tokens computed.
  int64_t rows() const { return rows_; }

 private:
  struct Totals;

  // Tells the other ranks, if this one leads any.
  void Lead(char command, const std::string& argument);
  absl::Status Obey(char command, const std::string& argument);
  // When the run has finished, after which the ranks send each other nothing.
  absl::Status EndGroup();
  absl::StatusOr<scheduler::TrainStatistics> TrainTogether(const scheduler::TrainingBatch& batch,
                                                           const std::function<bool()>& abandon);
  at::Tensor& Flat(StateTensor which);
  // Hands the sink what it has room for, or all. All ranks together, which know when.
  void HandOver(bool all);
  // The piece before which HandOver stops; a piece is a bucket of a flat tensor.
  size_t EndOfHandOver(const std::vector<FlatLayout::Bucket>& buckets, bool all) const;

  // Log-probs of the batch under the policy as it is, for the corrections that want them; none
  // where the batch is one optimizer step, whose own pass computes them.
  absl::Status MeasureProximal(const scheduler::TrainingBatch& batch,
                               const std::vector<std::vector<size_t>>& minibatches,
                               const std::function<bool()>& abandon);
  void MeasureProximal(const PassSamples& members);
  // By part of a minibatch; `first` is this rank's first part, of `count`.
  struct Parts {
    std::vector<std::vector<PassSamples>> passes;
    size_t first;
    size_t count;
  };
  Parts PartsOf(const Samples& samples) const;
  // What the passes of one part have measured so far.
  struct PartSums {
    at::Tensor measured;   // as of ObjectiveTerms, on the device; undefined: no pass
    ObjectiveSums counts;  // of tokens
  };
  // Adds the gradient of one pass. The host waits for nothing.
  void RunPass(const PassSamples& members, double denominator, PartSums* sums);
  // Those of this rank's parts added to the other ranks', in the order of parts.
  ObjectiveSums SumOverRanks(const std::vector<PartSums>& own);
  double LearningRate(uint32_t batch) const;
  absl::Status Update(const scheduler::TrainingBatch& batch, const std::vector<size_t>& minibatch,
                      const std::function<bool()>& abandon, Totals* totals);

  struct CopyUnderWay {
    StateSink* sink;  // null on the ranks that only send
    size_t next = 0;  // piece
  };

  const TrainerOptions options_;
  // Made first: the parameters drop the weights. Null: no KL term.
  std::unique_ptr<const Reference> reference_;
  Parameters parameters_;
  TrainerCounters counters_;
  int64_t rows_ = 0;
  std::optional<CopyUnderWay> copy_;
  absl::Duration copy_time_ = absl::ZeroDuration();
  // By sample of the batch in training; empty: the policy in training is still the same.
  std::unordered_map<const scheduler::TrainingSample*, at::Tensor> proximal_;
  model::Transformer transformer_;
};

}  // namespace attnrl::learner
