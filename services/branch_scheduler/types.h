// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/step_range.h"
#include "common/base/version.h"

// What the branch scheduler exchanges with workers, the learner and people, as plain structs. They
// mirror proto/attnrl/v1/branch_scheduler.proto, which is the manual of every field; convert/
// is the only place that knows both.
namespace attnrl::scheduler {

// When a piece of work was really done, on the acting process's wall clock: seconds since the
// epoch.
struct Span {
  double start = 0;
  double end = 0;
  bool operator==(const Span&) const = default;
};

// ---- Work ----

// What is to be done, and the right of one worker to do it: two numbers that must not be taken for
// each other. item_id.h says how items are numbered; a lease is epoch << 32 | counter.
enum class ItemId : uint64_t {};
enum class LeaseId : uint64_t {};
constexpr uint64_t Number(ItemId id) { return static_cast<uint64_t>(id); }
constexpr uint64_t Number(LeaseId id) { return static_cast<uint64_t>(id); }

enum class ItemKind { kInitial, kContinuation };
enum class FinishReason { kStop, kLength };

struct SamplingParams {
  float temperature = 1;
  float top_p = 1;     // 1 = off
  uint32_t top_k = 0;  // 0 = off
  uint64_t seed = 0;   // run.seed
  std::vector<int32_t> stop_ids = {};
  bool operator==(const SamplingParams&) const = default;
};

struct SampleRequest {
  uint32_t node = 0;            // of the problem's tree; part of the random key
  uint32_t split = 0;           // tokens of response_ids kept before the first sampled one
  uint32_t max_new_tokens = 0;  // at least 1
  bool operator==(const SampleRequest&) const = default;
};

// One response to begin (initial: one request) or all continuations of one response.
struct WorkItem {
  ItemId item = {};
  ItemKind kind = ItemKind::kInitial;
  uint32_t batch = 0;
  uint32_t position = 0;
  Version version = {};  // the weights that must sample it
  std::vector<int32_t> prompt_ids = {};
  std::vector<int32_t> response_ids = {};  // continuations: the response they branch from
  uint32_t parent = 0;                     // continuations: its node
  std::vector<SampleRequest> samples = {};
  SamplingParams sampling = {};
  // Initial items that are to be scored: attention counts from this many steps later on (D).
  std::optional<uint32_t> score_delta = {};
  bool operator==(const WorkItem&) const = default;
};

// Tokens and scored steps of a result; all continuations of a response are one.
inline constexpr size_t kMaxResultSize = 3'000'000;

struct SampleResult {
  uint32_t node = 0;
  std::vector<int32_t> token_ids = {};  // the sampled tokens only, the stop token included
  std::vector<float> logprobs = {};     // nats, one a token
  std::vector<float> entropy = {};      // nats, one a token
  FinishReason finish = FinishReason::kStop;
  // Where scoring was asked for: steps over prompt + response, the prompt first, one score each.
  std::vector<StepRange> steps = {};
  std::vector<float> fci = {};
  bool operator==(const SampleResult&) const = default;
};

struct ItemResult {
  LeaseId lease = {};
  ItemId item = {};
  Version version = {};
  std::vector<SampleResult> samples = {};  // one a request, in its order
  Span span = {};                          // from admission to a slot to the last token
  uint64_t prefill_tokens = 0;
  uint64_t reused_tokens = 0;
  bool operator==(const ItemResult&) const = default;
};

struct LeaseRef {
  LeaseId lease = {};
  ItemId item = {};
};

// From a worker. The first message of a stream is Register.
struct Register {
  std::string worker = {};       // stable for the life of the process, unique in the run
  uint32_t capacity = 0;         // sequences at once
  std::string numerics_id = {};  // instruction set, dtype, build
  // Leases of an earlier stream, still worked on or unacknowledged.
  std::vector<LeaseRef> held = {};
  uint32_t credits = 0;  // leases that may be outstanding
};
struct Credits {
  uint32_t outstanding = 0;
};
struct Renew {
  std::vector<LeaseId> leases = {};
  std::vector<uint64_t> tokens = {};  // sampled so far, one a lease; empty: not counted
};
struct GiveBack {
  std::vector<LeaseId> leases = {};
  std::string reason = {};
  bool failed = false;  // it can't do them, and another try would end the same way
  bool late = false;    // the time of Lease::limit_seconds is up
};
using WorkerMessage = std::variant<Register, ItemResult, Renew, GiveBack, Credits>;

// What the message takes of memory, in bytes, about.
size_t MemoryOf(const WorkerMessage& message);
size_t MemoryOf(const ItemResult& result);

// To a worker. The first message of a stream is Registered.
struct Registered {
  uint64_t epoch = 0;
  std::vector<LeaseId> adopted = {};  // of the held leases, those that are still the worker's
  double lease_seconds = 0;
};
struct Lease {
  LeaseId lease = {};
  WorkItem item = {};
  double limit_seconds = 0;  // then it is given back; 0: never
};
enum class AckVerdict { kAccepted, kFenced, kInvalid };
struct Ack {
  LeaseId lease = {};
  AckVerdict verdict = AckVerdict::kAccepted;
  std::string reason = {};
};
struct Cancel {
  std::vector<LeaseId> leases = {};
};
struct Prefetch {
  Version version = {};
};
struct DrainWorker {};
using SchedulerMessage = std::variant<Registered, Lease, Ack, Cancel, Prefetch, DrainWorker>;

// Of what is no lease: leases are bounded by their number.
size_t MemoryOf(const SchedulerMessage& message);

// ---- Batches ----

struct BatchRequest {
  uint32_t batch = 0;
  Version version = {};  // the newest version that the learner has published
  uint32_t checkpoint_step = 0;
  bool replay = false;
  uint64_t learner_epoch = 0;
};

struct AdvantageRun {
  uint32_t tokens = 0;
  double advantage = 0;
  bool operator==(const AdvantageRun&) const = default;
};
struct VersionRun {
  uint32_t tokens = 0;
  uint32_t version = 0;
  bool continuation = false;
  bool operator==(const VersionRun&) const = default;
};

// One leaf: a whole response with its advantages. Both kinds of runs cover response_ids.
struct TrainingSample {
  uint32_t position = 0;
  uint32_t response = 0;  // index of the initial response; minibatches are cut at its boundaries
  uint32_t node = 0;
  std::vector<int32_t> prompt_ids = {};
  std::vector<int32_t> response_ids = {};
  std::vector<float> logprobs = {};  // behaviour log-probs, one a token of response_ids
  std::vector<AdvantageRun> advantages = {};
  std::vector<VersionRun> versions = {};
  double reward = 0;
  bool truncated = false;
  bool operator==(const TrainingSample&) const = default;
};

// Samples in the order (position, response, original first, then by branch point and child).
struct TrainingBatch {
  uint32_t batch = 0;
  uint32_t base = 0;                         // e of its segment
  uint32_t problems = 0;                     // sampled, filtered ones included
  bool last = false;                         // last batch of the run
  std::vector<TrainingSample> samples = {};  // empty: the update is skipped, W(b+1) has W(b)'s bits
  uint32_t graded_responses = 0;             // initial ones of gradable problems
  uint32_t right_responses = 0;              // of these
  bool operator==(const TrainingBatch&) const = default;
};

// Of one training step; means are over trained tokens. NaN where nothing applies.
struct TrainStatistics {
  double loss = 0;
  double kl = 0;
  double entropy = 0;
  double ratio_max = 0;
  double clip_low = 0;
  double clip_high = 0;
  double importance_mean = 0;
  double importance_max = 0;
  double importance_truncated = 0;
  double effective_samples = 0;
  double behaviour_k1 = 0;
  double behaviour_k3 = 0;
  double grad_norm = 0;
  double learning_rate = 0;
  uint64_t trained_tokens = 0;
  uint64_t trained_tokens_unpacked = 0;
  uint32_t optimizer_steps = 0;
  uint32_t nonfinite_steps = 0;
  double wait_seconds = 0;
  // Absent where it did not happen.
  std::optional<Span> train = {};
  std::optional<Span> sync = {};
  std::optional<Span> checkpoint = {};
};

// A checkpoint of the learner, and the accuracy that makes it the best one.
struct BestCheckpoint {
  uint32_t step = 0;
  double accuracy = 0;
  bool operator==(const BestCheckpoint&) const = default;
};

struct BatchCommit {
  uint32_t batch = 0;
  Version version = {};  // W(batch + 1)
  uint32_t checkpoint_step = 0;
  bool replayed = false;
  TrainStatistics statistics = {};
  uint64_t learner_epoch = 0;
  std::optional<BestCheckpoint> best = {};
};
struct CommitReply {
  uint32_t oldest_version_needed = 0;  // versions below are no longer needed by any open item
  bool finished = false;               // the run ends with this batch
};

// ---- People and tools ----

enum class RunState { kStarting, kRunning, kPaused, kDraining, kFinished };
std::string_view RunStateName(RunState state);  // "starting", "running", ...

struct WorkerStatus {
  std::string worker = {};
  uint32_t capacity = 0;
  uint32_t leases = 0;
  uint64_t generated_tokens = 0;
  uint64_t results = 0;
  std::string parked = {};               // why it gets no work
  std::optional<uint32_t> version = {};  // that its newest lease needs
  double last_seen_seconds = 0;          // since something came from it
};
struct BatchStatus {
  uint32_t batch = 0;
  uint32_t problems = 0;
  uint32_t graded = 0;
  uint32_t initial_done = 0;
  uint32_t initial_total = 0;
  uint32_t continuation_done = 0;
  uint32_t continuation_total = 0;
  std::string phase = {};  // "sampling", "ready", "training"
};
struct RunStatus {
  RunState state = RunState::kStarting;
  std::string reason = {};
  uint32_t steps_done = 0;
  uint32_t steps_total = 0;
  Version newest_version = {};
  uint32_t open_items = 0;
  uint32_t active_leases = 0;
  std::vector<WorkerStatus> workers = {};
  std::vector<BatchStatus> batches = {};
  std::string last_metrics_json = {};  // newest line of metrics.jsonl; empty before the first
  uint64_t epoch = 0;
  std::vector<std::string> waits = {};  // what the run waits for, one line each
};

}  // namespace attnrl::scheduler
