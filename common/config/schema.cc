// SPDX-License-Identifier: Apache-2.0
// Every key: what it means and which values are allowed. Defaults are in config.h.
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/config/key.h"
#include "common/config/key_kinds.h"

namespace attnrl::config {
namespace {

constexpr int64_t kMillion = 1'000'000;
constexpr int64_t kBillion = 1'000'000'000;

// Adds keys of each kind; every key gives its name and member by ATTNRL_KEY below.
class Table {
 public:
  explicit Table(Keys* keys) : keys_(keys) {}

  template <typename Get>
  void Int(const char* name, Get get, int64_t low, int64_t high, const char* comment) {
    Add(new NumberKey<int64_t, Get>(name, get, low, high, comment));
  }
  template <typename Get>
  void Seed(const char* name, Get get, const char* comment) {
    Add(new NumberKey<uint64_t, Get>(name, get, 0, std::numeric_limits<uint64_t>::max(), comment));
  }
  template <typename Get>
  void Real(const char* name, Get get, double low, double high, const char* comment) {
    Add(new NumberKey<double, Get>(name, get, low, high, comment));
  }
  template <typename Get>
  void Bool(const char* name, Get get, const char* comment) {
    Add(new BoolKey<Get>(name, get, comment));
  }
  // A member that is an enum takes the enum's words.
  template <typename Get>
  void Choice(const char* name, Get get, const char* comment) {
    using Enum = std::decay_t<decltype(get(std::declval<Config&>()))>;
    std::vector<std::pair<std::string, Enum>> words;
    for (const auto& each : WordsOf(Enum{})) words.emplace_back(each.word, each.value);
    Add(new ChoiceKey<Enum, Get>(name, get, std::move(words), comment));
  }
  // A member that is text takes these.
  template <typename Get>
  void Choice(const char* name, Get get, const std::vector<std::string>& texts,
              const char* comment) {
    std::vector<std::pair<std::string, std::string>> words;
    for (const std::string& each : texts) words.emplace_back(each, each);
    Add(new ChoiceKey<std::string, Get>(name, get, std::move(words), comment));
  }
  template <typename Get>
  void Text(const char* name, Get get, TextKind kind, const char* comment) {
    Add(new TextKey<Get>(name, get, kind, comment));
  }
  template <typename Get>
  void Device(const char* name, Get get, const char* comment) {
    Add(new DeviceKey<Get>(name, get, comment));
  }
  template <typename Get>
  void Paths(const char* name, Get get, const char* comment) {
    Add(new PathListKey<Get>(name, get, comment));
  }

 private:
  void Add(const Key* key) { keys_->emplace_back(key); }

  Keys* const keys_;
};

// A key's name and its member are one thing.
#define ATTNRL_KEY(path) \
#path, [](auto& config) -> auto& { return config.path; }

void AddRun(Table& table) {
  table.Text(ATTNRL_KEY(run.id), TextKind::kName,
             "Name of the run in the certificates of its services: "
             "spiffe://attnrl/<run.id>/<role>.");
  table.Int(ATTNRL_KEY(run.steps), 1, kBillion,
            "Training batches of the run, each of which makes one weight version.");
  table.Seed(ATTNRL_KEY(run.seed), "Seed of every random choice of the run.");
  table.Int(ATTNRL_KEY(run.max_empty_batches), 1, kMillion,
            "The run pauses after this many batches in a row without a sample to train on.");
  table.Text(ATTNRL_KEY(model.path), TextKind::kPath,
             "Folder of the starting model, in Hugging Face layout.");
  table.Choice(ATTNRL_KEY(model.dtype), {"auto", "float32", "bfloat16"},
               "Number format that the policy computes in; auto takes it from config.json.");
  table.Text(ATTNRL_KEY(model.chat_template), TextKind::kFree,
             "Chat template: chatml, chatml-default-system, deepseek-r1 or deepseek-r1-think; if "
             "empty, the model folder's own.");
  table.Text(ATTNRL_KEY(data.train), TextKind::kPath,
             "Problems to train on: JSON Lines or a JSON list of {\"prompt\", \"answer\"} or of "
             "another published form.");
  table.Paths(ATTNRL_KEY(data.eval), "Problems to evaluate on, one file for each set.");
  table.Text(ATTNRL_KEY(data.prompt_suffix), TextKind::kFree,
             "Text appended to every prompt, for example how to write the answer.");
  table.Choice(
      ATTNRL_KEY(data.chat),
      "What becomes of a prompt that is a text: a user's message in the chat template where "
      "the model has one (auto), or nothing (raw).");
  table.Text(ATTNRL_KEY(data.grader), TextKind::kFree,
             "How answers are compared, for problems without a field grader: math, exact_match, "
             "multiple_choice, numeric_tolerance, or a name that a verifier of your own knows.");
  table.Bool(ATTNRL_KEY(data.skip_bad),
             "Leave records out that are wrong (no answer, an empty one or one that the grader "
             "can't read, "
             "too long a prompt) and count them, instead of refusing the data set.");
  table.Text(ATTNRL_KEY(data.fields.question), TextKind::kFree,
             "Field that holds the question, a text or a list of messages; if empty, messages, "
             "prompt, problem or question. A dot leads into an object.");
  table.Text(ATTNRL_KEY(data.fields.answer), TextKind::kFree,
             "Field that holds the accepted answers, for example reward_model.ground_truth; if "
             "empty, it is recognised: answers, answer, final_answer, or the end of a solution.");
  table.Text(ATTNRL_KEY(data.fields.id), TextKind::kFree,
             "Field that names a problem; if empty, id, unique_id, ID or extra_info.index, or else "
             "the number of the line.");
}

void AddAlgorithm(Table& table) {
  table.Choice(ATTNRL_KEY(algorithm.name),
               "Preset: sets the branching criterion, the advantages and the switches of adaptive "
               "sampling. It ranks with the source that names it.");
  table.Choice(ATTNRL_KEY(algorithm.branching.criterion),
               "How branch points are chosen; none: responses do not branch.");
  table.Choice(ATTNRL_KEY(algorithm.branching.choice),
               "Which steps to take among those above the threshold: the earliest (positional) or "
               "those with the highest scores (top).");
  table.Int(ATTNRL_KEY(algorithm.branching.points), 1, 64,
            "Branch points of an expanded response (N).");
  table.Int(ATTNRL_KEY(algorithm.branching.children), 1, 64,
            "Continuations sampled at each branch point (T).");
  table.Real(
      ATTNRL_KEY(algorithm.branching.quantile), 0, 1,
      "Threshold: a step qualifies if its score reaches this quantile of the response's scores.");
  table.Int(ATTNRL_KEY(algorithm.branching.min_distance), 0, kMillion,
            "Minimum distance in tokens from the start of the sequence to the first branch point, "
            "and between branch points.");
  table.Bool(ATTNRL_KEY(algorithm.branching.fill),
             "Where fewer steps than points qualify, fill up with the earliest others (choice "
             "positional); off: there are fewer points, or none.");
  table.Int(ATTNRL_KEY(algorithm.branching.delta), 1, 10'000,
            "Attention counts as influence from this many steps later on (D).");
  table.Choice(ATTNRL_KEY(algorithm.branching.steps),
               "What a step is: a paragraph as published (else a line, else a token), a line, or a "
               "sentence.");
  table.Int(ATTNRL_KEY(algorithm.sampling.initial_responses), 1, 1024,
            "Initial responses sampled for each problem (n).");
  table.Int(ATTNRL_KEY(algorithm.sampling.batch_problems), 1, kMillion,
            "Problems in a batch; with adaptive_batch, in the first one (B0).");
  table.Int(ATTNRL_KEY(algorithm.sampling.batch_min), 1, kMillion,
            "Minimum number of problems in an adaptive batch.");
  table.Int(ATTNRL_KEY(algorithm.sampling.batch_max), 1, kMillion,
            "Maximum number of problems in an adaptive batch.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.adaptive_batch),
             "Adapt the batch size to the share of samples that have an advantage.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.filter_solved),
             "Drop a problem that every response solves if its attention score is low.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.drop_all_solved),
             "Drop every problem that every response solves.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.difficulty_expansion),
             "Expand fewer responses of easier problems: another name of expand: difficulty.");
  table.Choice(ATTNRL_KEY(algorithm.sampling.expand),
               "Which responses of a problem branch: fewer of an easier one (difficulty), those of "
               "the rarer kind, right or wrong (minority), or all.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.train_unexpanded),
             "Train responses that do not branch too, each as one segment.");
  table.Choice(ATTNRL_KEY(algorithm.sampling.expand_rounding),
               "How the number of responses to expand is rounded.");
  table.Choice(ATTNRL_KEY(algorithm.advantages),
               "Advantages of segments of the tree, or of whole responses within their group.");
  table.Bool(ATTNRL_KEY(algorithm.advantage_std),
             "Divide group advantages by the standard deviation of the group's rewards; Dr. GRPO "
             "does not. Tree advantages are never divided by it.");
  table.Choice(ATTNRL_KEY(pipeline.mode),
               "Which weights sample a batch: overlapped takes older ones, so that sampling and "
               "training overlap; sequential and on_policy wait for the learner.");
}

void AddRollout(Table& table) {
  table.Int(ATTNRL_KEY(rollout.workers), 0, 1024, "Rollout workers that attnrl train starts.");
  table.Int(ATTNRL_KEY(rollout.threads), 0, 1024,
            "Compute threads of each worker; 0 takes as many as the container has processors, and "
            "under attnrl train an equal part of what the learner leaves of these.");
  table.Device(ATTNRL_KEY(rollout.device),
               "Device that the workers compute on; with cuda each takes a GPU of its own, as long "
               "as there are some, with cuda:N all that one.");
  table.Int(ATTNRL_KEY(rollout.max_prompt_tokens), 1, kMillion,
            "Maximum length of a prompt, in tokens.");
  table.Int(ATTNRL_KEY(rollout.max_response_tokens), 1, kMillion,
            "Maximum length of a response, in tokens; longer ones are truncated.");
  table.Real(ATTNRL_KEY(rollout.temperature), 0, 10,
             "Sampling temperature; 0 is greedy, training needs more than 0.");
  table.Real(ATTNRL_KEY(rollout.top_p), 0, 1,
             "Nucleus sampling (top-p); must be 1 (off) in training.");
  table.Int(ATTNRL_KEY(rollout.top_k), 0, kMillion,
            "Sample from this many most likely tokens (top-k); must be 0 (off) in training.");
  table.Bool(ATTNRL_KEY(rollout.deterministic),
             "Sample the same bits with any number of workers and threads; slower.");
  table.Int(ATTNRL_KEY(rollout.slots), 1, 65'536, "Sequences that a worker decodes at once.");
  table.Int(ATTNRL_KEY(rollout.kv_cache_bytes), 0, int64_t{1} << 50,
            "Memory of a worker for keys and values; 0 takes what the slots can use, at most half "
            "of the container's memory, or what weights leave of the GPU's.");
  table.Text(ATTNRL_KEY(rollout.weights_folder), TextKind::kPath,
             "Folder of each machine in which its workers share the weights that one of them "
             "fetches, each run's in a folder of its own; if empty, each fetches its own.");
  table.Int(ATTNRL_KEY(rollout.resident_versions), 1, 2,
            "Weight versions whose sequences a worker decodes side by side.");
  table.Choice(
      ATTNRL_KEY(rollout.fci_method),
      "How attention is scored: while decoding (online), in a separate pass (recompute), or while "
      "decoding where the device can (auto).");
  table.Choice(
      ATTNRL_KEY(rollout.isa), {"auto", "portable", "avx2", "avx512", "avx512_bf16", "amx_bf16"},
      "The most instructions that the workers' own kernels use; auto takes what there is.");
}

void AddServices(Table& table) {
  table.Text(ATTNRL_KEY(scheduler.address), TextKind::kAddress,
             "Address of the branch-scheduler; attnrl train sets it.");
  table.Text(ATTNRL_KEY(scheduler.database), TextKind::kPath,
             "SQLite file of the run; if empty, scheduler.db in the run directory.");
  table.Text(ATTNRL_KEY(scheduler.store), TextKind::kFree,
             "PostgreSQL database of the run in place of that file: postgres://user@host/database, "
             "without a password, which PGPASSFILE names.");
  table.Real(ATTNRL_KEY(scheduler.lease_seconds), 1, 86'400,
             "A lease ends if the worker does not renew it within this many seconds.");
  table.Real(ATTNRL_KEY(scheduler.item_seconds), 0, 604'800,
             "A worker that has not finished an item within this many seconds hands it on to "
             "another one, which gets twice the time; 0: no limit. Nothing is cut.");
  table.Real(ATTNRL_KEY(scheduler.drain_seconds), 0, 86'400,
             "Seconds that a stopping worker waits at most for its results to be acknowledged.");
  table.Text(ATTNRL_KEY(verifier.address), TextKind::kAddress,
             "Address of the verifier; attnrl train sets it.");
  table.Int(ATTNRL_KEY(verifier.children), 1, 1024, "Grader processes that the verifier runs.");
  table.Int(ATTNRL_KEY(verifier.timeout_ms), 1, 600'000,
            "Processor time that one response may take, in milliseconds, before its grader is "
            "replaced; a timeout never becomes a reward.");
}

void AddLearner(Table& table) {
  table.Text(ATTNRL_KEY(learner.address), TextKind::kAddress,
             "Address of the learner; attnrl train sets it.");
  table.Int(
      ATTNRL_KEY(learner.threads), 1, 1024,
      "Compute threads of the learner; fixed for a run, because the update's bits depend on them.");
  table.Device(ATTNRL_KEY(learner.device),
               "Device that the learner computes on; with cuda each rank takes a GPU of its own.");
  table.Int(ATTNRL_KEY(learner.ranks), 1, 1024,
            "Processes that train together, each with its share of the batch and of the "
            "optimizer's state; attnrl train starts them.");
  table.Real(ATTNRL_KEY(learner.rank_timeout_seconds), 1, 86'400,
             "A rank that does not answer another for this many seconds ends the training of all.");
  table.Bool(ATTNRL_KEY(learner.deterministic),
             "Train the same bits with 1, 2 and 4 ranks of the same threads; takes more memory.");
  table.Real(ATTNRL_KEY(learner.learning_rate), 0, 1,
             "Learning rate of AdamW, between warm-up and decay.");
  table.Int(ATTNRL_KEY(learner.warmup_steps), 0, kMillion,
            "Training steps over which the learning rate rises linearly; 0: no warm-up.");
  table.Int(ATTNRL_KEY(learner.decay_after), 0, kMillion,
            "Training steps before the learning rate starts to decay; 0: it never decays.");
  table.Int(ATTNRL_KEY(learner.decay_steps), 1, kMillion,
            "Training steps over which the learning rate decays to decay_to, where it stays.");
  table.Choice(ATTNRL_KEY(learner.decay),
               "Course of the decay: along a line, or along half a cosine.");
  table.Real(ATTNRL_KEY(learner.decay_to), 0, 1,
             "Share of the learning rate where its decay ends; 0: nothing is learned from there.");
  table.Int(ATTNRL_KEY(learner.minibatch_problems), 0, kMillion,
            "Problems in a minibatch as published: an optimizer step takes about this number times "
            "initial_responses samples, and each leaf of a tree is a sample. 0: steps_per_batch.");
  table.Int(
      ATTNRL_KEY(learner.steps_per_batch), 0, kMillion,
      "Optimizer steps of a batch, whatever its samples; 0: minibatch_problems says how many. "
      "Only one of the two may be more than 0.");
  table.Real(ATTNRL_KEY(learner.clip_low), 0, 1, "PPO: lower clip of the ratio, at 1 - clip_low.");
  table.Real(ATTNRL_KEY(learner.clip_high), 0, 100,
             "PPO: upper clip of the ratio, at 1 + clip_high.");
  table.Real(ATTNRL_KEY(learner.dual_clip), 1, 1000,
             "Dual clip: the largest ratio that counts where the advantage is negative.");
  table.Real(ATTNRL_KEY(learner.kl_weight), 0, 100,
             "Weight of the KL term (k3) to the starting model.");
  table.Real(ATTNRL_KEY(learner.entropy_weight), 0, 100, "Weight of the entropy bonus.");
  table.Real(ATTNRL_KEY(learner.max_grad_norm), 1e-9, 1e9, "Gradients are clipped to this norm.");
  table.Real(ATTNRL_KEY(learner.weight_decay), 0, 1, "Decoupled weight decay of AdamW.");
  table.Bool(ATTNRL_KEY(learner.decay_norms_and_biases),
             "Weight decay of the weights of norms and of biases too.");
  table.Real(ATTNRL_KEY(learner.beta1), 0, 0.999999, "Decay rate of the first moment of AdamW.");
  table.Real(ATTNRL_KEY(learner.beta2), 0, 0.999999, "Decay rate of the second moment of AdamW.");
  table.Real(ATTNRL_KEY(learner.adam_epsilon), 1e-15, 1, "Epsilon of AdamW.");
  table.Choice(
      ATTNRL_KEY(learner.correction),
      "Off-policy correction: the clipped ratio to the policy that sampled (behaviour), or "
      "to the one before the batch, with importance weights that are cut at "
      "importance_cap (truncated_is) or 0 above it (decoupled).");
  table.Real(ATTNRL_KEY(learner.importance_cap), 0.01, 1000,
             "Largest importance weight of truncated_is and decoupled.");
  table.Choice(
      ATTNRL_KEY(learner.loss_aggregation),
      "Mean over all tokens (DAPO), over sequences of the mean over tokens (GRPO), or over "
      "sequences of the sum over tokens divided by max_response_tokens (Dr. GRPO).");
  table.Choice(
      ATTNRL_KEY(learner.overlong),
      "Responses that are too long: graded and trained like others (none), left out of the "
      "loss where truncated (mask), or with a lower reward in the last overlong_buffer "
      "tokens (shape).");
  table.Int(ATTNRL_KEY(learner.overlong_buffer), 1, kMillion,
            "Tokens before max_response_tokens over which shape lowers the reward from 0 to -1.");
  table.Bool(ATTNRL_KEY(learner.mask_truncated),
             "Leave truncated responses out of the loss: another name of overlong: mask.");
  table.Int(ATTNRL_KEY(learner.max_tokens_per_pass), 1, kBillion,
            "Maximum number of tokens in one forward and backward pass; gradients are summed over "
            "passes.");
  table.Choice(ATTNRL_KEY(learner.checkpoint_layers),
               "Layers whose activations are computed again in the backward pass: all, none, or "
               "all where they would take more than an eighth of the memory (auto).");
  table.Choice(ATTNRL_KEY(learner.offload_optimizer),
               "Keep the optimizer's moments in the host's memory (cpu), from where they come to "
               "the GPU for each step, or not (none).");
  table.Choice(ATTNRL_KEY(learner.offload_reference),
               "Keep the reference model of the KL term in the host's memory (cpu) or in a file of "
               "the run directory (disk), from where each layer comes while it is needed, or not "
               "(none).");
  table.Int(ATTNRL_KEY(learner.checkpoint_every), 1, kMillion,
            "Training steps between checkpoints.");
  table.Int(
      ATTNRL_KEY(learner.checkpoints_kept), 2, kMillion,
      "Newest checkpoints to keep, from each of which the run can go on, so that the scheduler "
      "stores what was sampled since; that of step 0 is always kept.");
  table.Int(ATTNRL_KEY(learner.checkpoints_best), 0, kMillion,
            "The most accurate checkpoints, of all, that are kept however old; 0: the run names no "
            "best one.");
  table.Int(ATTNRL_KEY(learner.send_bytes_per_second), 0, int64_t{1} << 50,
            "Bytes of weights that learner and workers each send a second at most; 0: no limit.");
  table.Int(ATTNRL_KEY(learner.lora.rank), 0, 4096,
            "Rank of the adapters that are trained in place of the weights; 0: no adapters.");
  table.Real(ATTNRL_KEY(learner.lora.alpha), 1e-6, 1e6,
             "The change of a weight is alpha / rank times the product of its adapters.");
  table.Choice(
      ATTNRL_KEY(learner.lora.targets),
      "Weights with adapters: every linear map of a layer, or those of its attention or of "
      "its MLP.");
}

void AddRest(Table& table) {
  table.Text(ATTNRL_KEY(security.certificate), TextKind::kPath,
             "Certificate chain of this process (PEM): all TCP is mutual TLS then. Read again when "
             "it changes.");
  table.Text(ATTNRL_KEY(security.key), TextKind::kPath, "Private key of security.certificate.");
  table.Text(ATTNRL_KEY(security.ca), TextKind::kPathOrSystem,
             "Certificates that peers' certificates must lead to (PEM), or system: those that the "
             "operating system trusts.");
  table.Bool(ATTNRL_KEY(security.allow_plaintext),
             "Allow TCP to and from other machines without TLS, to try things out.");
  table.Text(ATTNRL_KEY(observe.metrics_address), TextKind::kHostPort,
             "Address on which each service serves /metrics.");
  table.Text(ATTNRL_KEY(observe.health_address), TextKind::kAddress,
             "Address on which each service answers health checks and nothing else, without TLS; "
             "if empty, none.");
  table.Choice(ATTNRL_KEY(observe.log_level), {"debug", "info", "warning", "error"},
               "Lowest level that the services log.");
  table.Choice(ATTNRL_KEY(observe.console_level), {"debug", "info", "warning", "error"},
               "Lowest level that a service with a log file also writes to stderr.");
  table.Real(ATTNRL_KEY(observe.peak_flops), 0, 1e18,
             "Operations a second at most, for the share that is used; 0: what is known of a GPU.");
  table.Text(ATTNRL_KEY(observe.records), TextKind::kPath,
             "Folder of this run alone for metrics.jsonl, events.jsonl and trees/; if empty, the "
             "run directory.");
  table.Choice(ATTNRL_KEY(observe.trees), {"zstd", "plain"},
               "How the files of trees/ are written: compressed (batch-N.jsonl.zst), or as plain "
               "text (batch-N.jsonl), which takes six times the room.");
  table.Int(ATTNRL_KEY(observe.trees_kept), 0, kMillion,
            "Newest batches whose file in trees/ is kept; 0 keeps all of them.");
}

#undef ATTNRL_KEY

}  // namespace

const Keys& Schema() {
  static const Keys* schema = [] {
    auto* keys = new Keys;
    Table table(keys);
    AddRun(table);
    AddAlgorithm(table);
    AddRollout(table);
    AddServices(table);
    AddLearner(table);
    AddRest(table);
    return keys;
  }();
  return *schema;
}

}  // namespace attnrl::config
