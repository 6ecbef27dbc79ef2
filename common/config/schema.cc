// SPDX-License-Identifier: Apache-2.0
// Every key of the configuration: what it is, what may stand there. Defaults are those of config.h.
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
  table.Int(ATTNRL_KEY(run.steps), 1, kBillion,
            "Training batches of the run, each of which makes one weight version.");
  table.Seed(ATTNRL_KEY(run.seed), "Keys every random choice of the run.");
  table.Int(ATTNRL_KEY(run.max_empty_batches), 1, kMillion,
            "So many batches in a row without a sample to train pause the run.");
  table.Text(ATTNRL_KEY(model.path), TextKind::kPath,
             "Folder of the starting model in Hugging Face layout.");
  table.Choice(ATTNRL_KEY(model.dtype), {"auto", "float32", "bfloat16"},
               "What the policy computes in; auto is config.json's.");
  table.Text(ATTNRL_KEY(model.chat_template), TextKind::kFree,
             "chatml, chatml-default-system, deepseek-r1 or deepseek-r1-think; empty: recognised "
             "from the folder.");
  table.Text(ATTNRL_KEY(data.train), TextKind::kPath,
             "Problems to train on, JSON Lines: {\"id\",\"prompt\"|\"messages\",\"answers\"}.");
  table.Paths(ATTNRL_KEY(data.eval), "Problems to evaluate on, one file a set.");
  table.Text(ATTNRL_KEY(data.prompt_suffix), TextKind::kFree,
             "Appended to every problem, e.g. how to write the answer.");
}

void AddAlgorithm(Table& table) {
  table.Choice(ATTNRL_KEY(algorithm.name),
               "Preset: sets criterion, advantages and the switches of adaptive sampling. It ranks "
               "with the source that names it.");
  table.Choice(ATTNRL_KEY(algorithm.branching.criterion), "What branch points are chosen by.");
  table.Choice(ATTNRL_KEY(algorithm.branching.choice),
               "Of the steps above the threshold, the earliest or the highest.");
  table.Int(ATTNRL_KEY(algorithm.branching.points), 1, 64, "Branch points of a response (N).");
  table.Int(ATTNRL_KEY(algorithm.branching.children), 1, 64,
            "Continuations at each branch point (T).");
  table.Real(ATTNRL_KEY(algorithm.branching.quantile), 0, 1,
             "Threshold of the scores: steps above this quantile qualify.");
  table.Int(ATTNRL_KEY(algorithm.branching.min_distance), 0, kMillion,
            "Least distance of branch points from the start and from each other, in tokens.");
  table.Int(ATTNRL_KEY(algorithm.branching.delta), 1, 10'000,
            "Attention from so many steps on counts as influence (D).");
  table.Int(ATTNRL_KEY(algorithm.sampling.initial_responses), 1, 1024,
            "Initial responses of a problem (n).");
  table.Int(ATTNRL_KEY(algorithm.sampling.batch_problems), 1, kMillion,
            "Problems of a batch, of the first one where the size is adaptive (B0).");
  table.Int(ATTNRL_KEY(algorithm.sampling.batch_min), 1, kMillion,
            "Fewest problems of an adaptive batch.");
  table.Int(ATTNRL_KEY(algorithm.sampling.batch_max), 1, kMillion,
            "Most problems of an adaptive batch.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.adaptive_batch),
             "Size batches by the share of samples with an advantage.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.filter_solved),
             "Drop problems that every response solves, by their attention.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.drop_all_solved),
             "Drop every problem that every response solves.");
  table.Bool(ATTNRL_KEY(algorithm.sampling.difficulty_expansion),
             "Expand fewer responses of easy problems.");
  table.Choice(ATTNRL_KEY(algorithm.sampling.expand_rounding),
               "How the number of expanded responses is rounded.");
  table.Choice(ATTNRL_KEY(algorithm.advantages),
               "Advantages of tree segments, or of whole responses within their group.");
  table.Choice(ATTNRL_KEY(pipeline.mode), "What samples while the learner trains.");
}

void AddRollout(Table& table) {
  table.Int(ATTNRL_KEY(rollout.workers), 0, 1024, "Rollout workers that attnrl train starts.");
  table.Int(ATTNRL_KEY(rollout.threads), 1, 1024, "Threads of each worker.");
  table.Choice(ATTNRL_KEY(rollout.device), {"cpu", "cuda"}, "Where the workers compute.");
  table.Int(ATTNRL_KEY(rollout.max_prompt_tokens), 1, kMillion, "Longest prompt, in tokens.");
  table.Int(ATTNRL_KEY(rollout.max_response_tokens), 1, kMillion,
            "Longest response, in tokens; longer ones are truncated.");
  table.Real(ATTNRL_KEY(rollout.temperature), 0, 10, "Sampling temperature; 0 is greedy.");
  table.Real(ATTNRL_KEY(rollout.top_p), 0, 1, "Nucleus; must be 1 in training.");
  table.Int(ATTNRL_KEY(rollout.top_k), 0, kMillion,
            "Most tokens to choose from; must be 0 (all) in training.");
  table.Bool(ATTNRL_KEY(rollout.deterministic),
             "The same bits for any number of workers and threads; slower.");
  table.Int(ATTNRL_KEY(rollout.slots), 1, 65'536, "Sequences that a worker decodes at once.");
  table.Choice(ATTNRL_KEY(rollout.fci_method),
               "Attention scores while decoding, or by a pass of their own.");
}

void AddServices(Table& table) {
  table.Text(ATTNRL_KEY(scheduler.address), TextKind::kAddress,
             "unix:/path or host:port; attnrl train sets it.");
  table.Text(ATTNRL_KEY(scheduler.database), TextKind::kPath,
             "SQLite file of the run; empty: scheduler.db in the run directory.");
  table.Real(ATTNRL_KEY(scheduler.lease_seconds), 1, 86'400,
             "A lease that is not renewed for so long is taken away.");
  table.Real(ATTNRL_KEY(scheduler.drain_seconds), 0, 86'400,
             "How long a drain waits for leased work.");
  table.Text(ATTNRL_KEY(verifier.address), TextKind::kAddress,
             "unix:/path or host:port; attnrl train sets it.");
  table.Int(ATTNRL_KEY(verifier.children), 1, 1024, "Grader processes.");
  table.Int(ATTNRL_KEY(verifier.timeout_ms), 1, 600'000,
            "Watchdog of one response, in milliseconds; its firing is never a reward.");
}

void AddLearner(Table& table) {
  table.Text(ATTNRL_KEY(learner.address), TextKind::kAddress,
             "unix:/path or host:port; attnrl train sets it.");
  table.Int(ATTNRL_KEY(learner.threads), 1, 1024, "Threads; part of the numerics of a run.");
  table.Choice(ATTNRL_KEY(learner.device), {"cpu", "cuda"}, "Where the learner computes.");
  table.Real(ATTNRL_KEY(learner.learning_rate), 0, 1, "Of AdamW, between warm-up and decay.");
  table.Int(
      ATTNRL_KEY(learner.warmup_steps), 0, kMillion,
      "Training steps in which the learning rate rises linearly; 0: constant from the start.");
  table.Int(ATTNRL_KEY(learner.decay_after), 0, kMillion,
            "The learning rate falls after so many training steps; 0: never.");
  table.Int(ATTNRL_KEY(learner.decay_steps), 1, kMillion,
            "Training steps in which it falls linearly, to a tenth; then it stays there.");
  table.Int(ATTNRL_KEY(learner.minibatch_problems), 1, kMillion,
            "An optimizer step takes this times initial_responses samples.");
  table.Real(ATTNRL_KEY(learner.clip_low), 0, 1, "PPO clip of the ratio downwards.");
  table.Real(ATTNRL_KEY(learner.clip_high), 0, 100, "PPO clip of the ratio upwards.");
  table.Real(ATTNRL_KEY(learner.dual_clip), 1, 1000,
             "Bound of the ratio where the advantage is negative.");
  table.Real(ATTNRL_KEY(learner.kl_weight), 0, 100, "Weight of the k3 KL to the starting model.");
  table.Real(ATTNRL_KEY(learner.entropy_weight), 0, 100, "Weight of the entropy bonus.");
  table.Real(ATTNRL_KEY(learner.max_grad_norm), 1e-9, 1e9, "Gradients are clipped to this norm.");
  table.Real(ATTNRL_KEY(learner.weight_decay), 0, 1, "Of AdamW, decoupled.");
  table.Real(ATTNRL_KEY(learner.beta1), 0, 0.999999, "Of AdamW.");
  table.Real(ATTNRL_KEY(learner.beta2), 0, 0.999999, "Of AdamW.");
  table.Real(ATTNRL_KEY(learner.adam_epsilon), 1e-15, 1, "Of AdamW.");
  table.Choice(ATTNRL_KEY(learner.correction),
               "Off-policy correction: the ratio to the policy that sampled, clipped.");
  table.Bool(ATTNRL_KEY(learner.mask_truncated), "Leave truncated responses out of the loss.");
  table.Int(ATTNRL_KEY(learner.max_tokens_per_pass), 1, kBillion,
            "Tokens of one forward and backward pass; gradients accumulate over passes.");
  table.Int(ATTNRL_KEY(learner.checkpoint_every), 1, kMillion, "Steps between checkpoints.");
  table.Int(ATTNRL_KEY(learner.checkpoints_kept), 1, kMillion,
            "Newest checkpoints that are kept, beside the first.");
}

void AddRest(Table& table) {
  table.Bool(ATTNRL_KEY(security.allow_plaintext),
             "Serve and call TCP addresses of other machines without TLS, to try things out.");
  table.Text(ATTNRL_KEY(observe.metrics_address), TextKind::kHostPort,
             "Where each service serves /metrics.");
  table.Choice(ATTNRL_KEY(observe.log_level), {"debug", "info", "warning", "error"},
               "Least level of the services' logs.");
  table.Choice(ATTNRL_KEY(observe.console_level), {"debug", "info", "warning", "error"},
               "Least level that services with a log file also write to stderr.");
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

const std::vector<std::pair<std::string, std::string>>& Sections() {
  static const auto* sections = new std::vector<std::pair<std::string, std::string>>{
      {"run", "The run as a whole"},
      {"model", "The model that is trained"},
      {"data", "Problems with their accepted answers"},
      {"algorithm", "What is sampled and how it is rewarded"},
      {"algorithm.branching", "Where responses branch"},
      {"algorithm.sampling", "What a batch consists of"},
      {"pipeline", "How sampling and training overlap"},
      {"rollout", "Workers that sample"},
      {"scheduler", "Owner of the run's state"},
      {"verifier", "Grading of answers"},
      {"learner", "Training"},
      {"security", "Who may talk to whom"},
      {"observe", "Logs and metrics"}};
  return *sections;
}

}  // namespace attnrl::config
