// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/step_range.h"
#include "common/config/choices.h"
#include "common/pipeline/schedule.h"
#include "common/tree/adaptive_sampling.h"
#include "common/tree/criteria/criterion.h"

namespace attnrl::config {

// The configuration of a run, one file for all services. Members are named as the keys of the YAML
// file; schema.cc has every key's range, default and comment, and deploy/local/reference.yaml shows
// them. Plain values: copy them freely.

struct Run {
  std::string id = "default";  // of the run in its services' certificates
  int64_t steps = 500;
  uint64_t seed = 0;
  int64_t max_empty_batches = 10;
};

struct Model {
  std::string path = {};           // folder in Hugging Face layout, absolute
  std::string dtype = "auto";      // "auto" (config.json's) | "float32" | "bfloat16"
  std::string chat_template = {};  // name; empty: the folder's own
};

// Names of fields of the data sets; empty: recognised (common/data_set/README.md).
struct DataFields {
  std::string question = {};
  std::string answer = {};
  std::string id = {};
};

struct Data {
  std::string train = {};              // JSON Lines or a JSON list, absolute
  std::vector<std::string> eval = {};  // the same
  std::string prompt_suffix = {};      // appended to every prompt
  Chat chat = Chat::kAuto;
  DataFields fields = {};
  std::string grader = "math";  // of problems that name none
  bool skip_bad = false;
};

struct Branching {
  tree::Criterion criterion = tree::Criterion::kFci;
  tree::Choice choice = tree::Choice::kPositional;
  int64_t points = 2;          // N
  int64_t children = 2;        // T
  double quantile = 0.8;       // the threshold of FCI scores
  int64_t min_distance = 512;  // tokens between branch points
  bool fill = true;            // where fewer points than wanted qualify
  int64_t delta = 4;           // D of FCI, in steps
  StepCut steps = StepCut::kParagraph;
};

struct Sampling {
  int64_t initial_responses = 6;  // n
  int64_t batch_problems = 64;    // B0
  int64_t batch_min = 1;
  int64_t batch_max = 1024;
  bool adaptive_batch = true;
  bool filter_solved = true;
  bool drop_all_solved = false;
  bool difficulty_expansion = true;  // an older name of expand: difficulty
  tree::Expand expand = tree::Expand::kDifficulty;
  bool train_unexpanded = false;
  tree::ExpandRounding expand_rounding = tree::ExpandRounding::kCeil;
};

struct Algorithm {
  AlgorithmName name = AlgorithmName::kAttnrl;
  Branching branching = {};
  Sampling sampling = {};
  Advantages advantages = Advantages::kTree;
  bool advantage_std = true;  // group advantages are divided by the standard deviation

  bool branches() const { return branching.criterion != tree::Criterion::kNone; }
  // Workers score the attention of initial responses.
  bool scores_attention() const {
    return tree::ReadsFci(branching.criterion) || sampling.filter_solved;
  }
};

struct Pipeline {
  pipeline::PipelineMode mode = pipeline::PipelineMode::kOverlapped;
};

struct Rollout {
  int64_t workers = 1;  // that `attnrl train` starts
  int64_t threads = 0;  // each; 0: what the machine has for it
  std::string device = "cpu";
  int64_t max_prompt_tokens = 1024;
  int64_t max_response_tokens = 8192;
  double temperature = 1;
  double top_p = 1;
  int64_t top_k = 0;
  bool deterministic = false;
  int64_t slots = 64;               // sequences decoded at once
  int64_t kv_cache_bytes = 0;       // of each worker; 0: as much as useful, of what it may have
  int64_t resident_versions = 2;    // whose sequences run side by side
  std::string weights_folder = {};  // absolute; empty: each worker has its own
  FciMethod fci_method = FciMethod::kAuto;
  std::string isa = "auto";  // or a word of kernels::Isa: the most that kernels use
};

struct Scheduler {
  std::string address = {};   // "unix:/path" | "host:port"; `attnrl train` sets it
  std::string database = {};  // empty: RUN_DIR/scheduler.db
  std::string store = {};     // "postgres://..."; empty: the SQLite file `database`
  double lease_seconds = 60;
  double item_seconds = 0;  // 0: no limit
  double drain_seconds = 30;
};

struct Verifier {
  std::string address = {};
  int64_t children = 1;       // grader processes
  int64_t timeout_ms = 1000;  // watchdog of one response
};

struct LearnerLora {
  int64_t rank = 0;  // 0: all weights are trained
  double alpha = 16;
  LoraTargets targets = LoraTargets::kLinear;
};

struct Learner {
  std::string address = {};
  int64_t threads = 1;
  std::string device = "cpu";
  int64_t ranks = 1;  // processes that train together
  double rank_timeout_seconds = 600;
  bool deterministic = false;  // the same bits with 1, 2 and 4 ranks
  double learning_rate = 1e-6;
  int64_t warmup_steps = 0;
  int64_t decay_after = 0;  // steps; 0: the learning rate stays constant
  int64_t decay_steps = 100;
  Decay decay = Decay::kLinear;
  double decay_to = 0.1;            // of learning_rate
  int64_t minibatch_problems = 32;  // 0: steps_per_batch says how a batch is cut
  int64_t steps_per_batch = 0;      // 0: minibatch_problems says it
  double clip_low = 0.2;
  double clip_high = 0.28;
  double dual_clip = 3;
  double kl_weight = 0.001;
  double entropy_weight = 0;
  double max_grad_norm = 1;
  double weight_decay = 0.01;
  bool decay_norms_and_biases = true;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double adam_epsilon = 1e-8;
  Correction correction = Correction::kBehaviour;
  double importance_cap = 2;  // of truncated_is and decoupled
  LossAggregation loss_aggregation = LossAggregation::kTokenMean;
  Overlong overlong = Overlong::kNone;
  int64_t overlong_buffer = 4096;       // tokens
  bool mask_truncated = false;          // an older name of overlong: mask
  int64_t max_tokens_per_pass = 16384;  // of one forward and backward pass
  CheckpointLayers checkpoint_layers = CheckpointLayers::kAuto;
  OffloadOptimizer offload_optimizer = OffloadOptimizer::kNone;
  OffloadReference offload_reference = OffloadReference::kNone;
  int64_t checkpoint_every = 10;  // steps
  int64_t checkpoints_kept = 3;
  int64_t checkpoints_best = 1;
  int64_t send_bytes_per_second = 0;  // of weights, each process; 0: no limit
  LearnerLora lora = {};
};

struct Security {
  std::string certificate = {};  // PEM files, absolute; empty: TCP without TLS
  std::string key = {};
  std::string ca = {};           // "system": what the operating system trusts
  bool allow_plaintext = false;  // TCP off loopback without TLS
};

struct Observe {
  std::string metrics_address = "127.0.0.1:0";
  std::string health_address = {};      // of health alone, without TLS; empty: none
  std::string log_level = "info";       // "debug" | "info" | "warning" | "error"
  std::string console_level = "error";  // the same
  std::string records = {};             // empty: the run directory
  std::string trees = "zstd";           // "zstd" | "plain"
  double peak_flops = 0;                // a second; 0: by the device
  int64_t trees_kept = 0;               // batches; 0: all
};

// Other values of some keys from a step on, until a later stage changes them again (stages.cc).
struct Stage {
  int64_t from_step = 0;
  std::map<std::string, std::string> settings = {};  // key -> value, a path absolute
};

struct Config {
  Run run = {};
  Model model = {};
  Data data = {};
  Algorithm algorithm = {};
  Pipeline pipeline = {};
  Rollout rollout = {};
  Scheduler scheduler = {};
  Verifier verifier = {};
  Learner learner = {};
  Security security = {};
  Observe observe = {};
  std::vector<Stage> stages = {};  // in order of their steps

  // ATTNRL_ variables that name no key, with one that is near; each process logs one line for each.
  std::vector<std::string> ignored_variables = {};
};

// name -> value. Environment() is the process's own.
using Variables = std::map<std::string, std::string>;
Variables Environment();

// Default < file < environment (`a.b.c` is ATTNRL_A_B_C) < `sets` ("a.b.c=value", later ones win).
// An empty `file` is none: settings over the defaults.
// A preset (algorithm.name) ranks with the source that names it: keys of the same or a stronger
// source win over it, keys of weaker ones lose. Relative paths become absolute: those in the file
// against its folder, others against the working directory. The result is valid.
// Errors are InputErrors at file:line, at the variable, or at `--set a.b=c`.
absl::StatusOr<Config> Load(const std::string& file, const std::vector<std::string>& sets,
                            const Variables& environment);

// What holds in training step `step`, counted from 0: the stages up to there are applied.
Config AtStep(const Config& config, int64_t step);
// With the largest value of any stage in place of each key that stages change: for estimates.
Config Widest(const Config& config);

// The rules between keys and the ranges of each; InputError naming the key. Load has done it.
absl::Status Validate(const Config& config);

// A data set to train on.
struct TrainingSet {
  int64_t from_step = 0;  // until that of the next one
  std::string path = {};
  bool operator==(const TrainingSet&) const = default;
};
// Those of data.train and of the stages, in the order of their use; each differs from the one
// before it. At least one.
std::vector<TrainingSet> TrainingSets(const Config& config);

// What a training run needs beyond a valid file: model.path and data.train are set. InputError.
absl::Status CheckComplete(const Config& config);

// Every key with its value, absolute paths: what RUN_DIR/config.yaml holds. Load reads the same
// values back.
std::string ToYaml(const Config& config);

// deploy/local/reference.yaml: every key with its comment, range and default.
std::string ReferenceYaml();

// Help on one key or on a section ("learner"): lines of "key (default; range): comment".
// InputError for a name that is neither, with the nearest one.
absl::StatusOr<std::string> KeyHelp(const std::string& key);

// Whether a run of configuration `before` may go on as `now`. run.seed, model, data, algorithm,
// pipeline.mode, sampling, objective and numerics may not differ; steps, workers, addresses,
// observation, checkpoints, verifier and security may. InputError naming each key that differs.
absl::Status CheckResume(const Config& before, const Config& now);

// Every value that CheckResume holds fast: key -> text.
std::map<std::string, std::string> Fingerprint(const Config& config);

}  // namespace attnrl::config
