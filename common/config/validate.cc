// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/temperature.h"
#include "common/config/config.h"
#include "common/config/key.h"
#include "common/config/store_url.h"

namespace attnrl::config {
namespace {

// Collects nothing: the first rule that is broken is the answer.
class Rules {
 public:
  Rules(const Config& config, const Sources& sources) : config_(config), sources_(sources) {}

  absl::Status Check() const {
    for (const auto& key : Schema()) {
      if (!key->Valid(config_)) return Wrong(key->name(), key->Allowed());
    }
    ATTNRL_RETURN_IF_ERROR(CheckAlgorithm());
    ATTNRL_RETURN_IF_ERROR(CheckSampling());
    ATTNRL_RETURN_IF_ERROR(CheckLearner());
    ATTNRL_RETURN_IF_ERROR(CheckDecay());
    ATTNRL_RETURN_IF_ERROR(CheckRollout());
    ATTNRL_RETURN_IF_ERROR(CheckStore());
    return CheckSecurity();
  }

 private:
  // "<where>: <key> is <value>; <allowed>"
  absl::Status Wrong(const std::string& name, const std::string& allowed) const {
    const auto source = sources_.find(name);
    const std::string value = FindKey(name)->Print(config_);
    if (source == sources_.end()) return InputError(name, absl::StrCat("is ", value), allowed);
    return InputError(source->second, absl::StrCat(name, " is ", value), allowed);
  }

  absl::Status CheckAlgorithm() const {
    const Algorithm& algorithm = config_.algorithm;
    const bool branches = algorithm.branches();
    if (algorithm.name == AlgorithmName::kGrpo && branches) {
      return Wrong("algorithm.branching.criterion",
                   "none, as grpo does not branch; algorithm.name: treerl does");
    }
    if (branches != (algorithm.advantages == Advantages::kTree)) {
      return Wrong("algorithm.advantages",
                   branches ? "tree, as responses branch" : "group, as no response branches");
    }
    return absl::OkStatus();
  }

  absl::Status CheckSampling() const {
    const Sampling& sampling = config_.algorithm.sampling;
    const std::string prefix = "algorithm.sampling.";
    if (!config_.algorithm.branches()) {
      const std::string off = "false, as no response branches";
      if (sampling.filter_solved) return Wrong(prefix + "filter_solved", off);
      if (sampling.drop_all_solved) return Wrong(prefix + "drop_all_solved", off);
      if (sampling.difficulty_expansion) return Wrong(prefix + "difficulty_expansion", off);
      if (sampling.expand != tree::Expand::kAll) {
        return Wrong(prefix + "expand", "all, as no response branches");
      }
      if (sampling.train_unexpanded) return Wrong(prefix + "train_unexpanded", off);
    }
    if (sampling.difficulty_expansion != (sampling.expand == tree::Expand::kDifficulty)) {
      return Wrong(prefix + "expand", sampling.difficulty_expansion
                                          ? "difficulty, as difficulty_expansion is true"
                                          : "not that, as difficulty_expansion is false");
    }
    if (sampling.batch_min > sampling.batch_max) {
      return Wrong(prefix + "batch_min",
                   absl::StrCat("at most batch_max, which is ", sampling.batch_max));
    }
    if (config_.algorithm.advantages == Advantages::kGroup && sampling.initial_responses < 2) {
      return Wrong(prefix + "initial_responses", "at least 2, as a group is compared with itself");
    }
    return absl::OkStatus();
  }

  absl::Status CheckLearner() const {
    const Learner& learner = config_.learner;
    if (learner.mask_truncated != (learner.overlong == Overlong::kMask)) {
      return Wrong("learner.overlong", learner.mask_truncated
                                           ? "mask, as mask_truncated is true"
                                           : "not that, as mask_truncated is false");
    }
    if (learner.overlong == Overlong::kShape &&
        learner.overlong_buffer > config_.rollout.max_response_tokens) {
      return Wrong("learner.overlong_buffer",
                   absl::StrCat("at most rollout.max_response_tokens, which is ",
                                config_.rollout.max_response_tokens));
    }
    if (learner.deterministic && learner.ranks != 1 && learner.ranks != 2 && learner.ranks != 4) {
      return Wrong("learner.ranks", "1, 2 or 4, as learner.deterministic is true");
    }
    if (learner.deterministic && learner.device != "cpu") {
      return Wrong("learner.deterministic",
                   absl::StrCat("false, as learner.device is ", learner.device,
                                ", and only the cpu computes in a fixed order"));
    }
    if (learner.ranks > 1 && learner.device != "cpu" && learner.device != "cuda") {
      return Wrong("learner.device", absl::StrCat("cpu, or cuda, which gives each of the ",
                                                  learner.ranks, " ranks a GPU of its own"));
    }
    if (learner.offload_optimizer != OffloadOptimizer::kNone && learner.device == "cpu") {
      return Wrong("learner.offload_optimizer",
                   "none, as learner.device is cpu, whose memory the moments lie in anyway");
    }
    if (learner.offload_reference == OffloadReference::kCpu && learner.device == "cpu") {
      return Wrong("learner.offload_reference",
                   "none or disk, as learner.device is cpu, whose memory the reference model lies "
                   "in anyway");
    }
    if (learner.steps_per_batch > 0 && learner.minibatch_problems > 0) {
      return Wrong("learner.steps_per_batch",
                   absl::StrCat("0, as minibatch_problems is ", learner.minibatch_problems,
                                ", and only one of them says how a batch is cut"));
    }
    if (learner.steps_per_batch == 0 && learner.minibatch_problems == 0) {
      return Wrong("learner.minibatch_problems", "more than 0, or steps_per_batch more than 0");
    }
    return absl::OkStatus();
  }

  // Of the learning rate: a course or an end of it that says nothing would be taken for a decay.
  absl::Status CheckDecay() const {
    const Learner& learner = config_.learner;
    if (learner.decay_after > 0) {
      if (learner.decay_after >= learner.warmup_steps) return absl::OkStatus();
      return Wrong("learner.decay_after",
                   absl::StrCat("0, or at least warmup_steps, which is ", learner.warmup_steps));
    }
    const std::string never =
        ", or decay_after more than 0, as with 0 the learning rate never decays";
    if (learner.decay != Learner{}.decay) return Wrong("learner.decay", "linear" + never);
    if (learner.decay_to != Learner{}.decay_to) return Wrong("learner.decay_to", "0.1" + never);
    return absl::OkStatus();
  }

  absl::Status CheckRollout() const {
    if (config_.rollout.fci_method == FciMethod::kOnline &&
        config_.algorithm.branching.steps == StepCut::kSentence) {
      return Wrong("rollout.fci_method",
                   "recompute or auto, as the end of a sentence is known a token later");
    }
    if (config_.rollout.deterministic && config_.rollout.device != "cpu") {
      return Wrong("rollout.deterministic",
                   absl::StrCat("false, as rollout.device is ", config_.rollout.device,
                                ", and only the cpu computes in a fixed order"));
    }
    if (!IsTemperature(config_.rollout.temperature)) {
      return Wrong("rollout.temperature", absl::StrCat("0, or at least ", kLeastTemperature));
    }
    if (config_.rollout.top_p != 1) return Wrong("rollout.top_p", "1 in training");
    if (config_.rollout.top_k != 0) return Wrong("rollout.top_k", "0 (all tokens) in training");
    return absl::OkStatus();
  }

  absl::Status CheckStore() const {
    const Scheduler& scheduler = config_.scheduler;
    if (scheduler.store.empty()) return absl::OkStatus();
    // Nothing of the URL is repeated: it may hold a password.
    const absl::StatusOr<StoreUrl> url = ParseStoreUrl(scheduler.store);
    if (!url.ok()) {
      const auto source = sources_.find("scheduler.store");
      if (source == sources_.end()) return url.status();
      // A file and line, a variable, or a flag with its value.
      const bool is_flag = source->second.rfind("--set ", 0) == 0;
      return is_flag ? Annotate(url.status(), "--set") : Annotate(url.status(), source->second);
    }
    // The run's schema there has its name behind seven letters, of 63 bytes that names may have.
    if (config_.run.id.size() > 56) {
      return Wrong("run.id", "at most 56 letters, as scheduler.store is set");
    }
    if (!scheduler.database.empty()) {
      return Wrong("scheduler.database", "empty, as scheduler.store is set");
    }
    if (!url->local && !url->encrypted && !config_.security.allow_plaintext) {
      return InputError("scheduler.store", absl::StrCat("may reach ", url->Name(), " without TLS"),
                        "sslmode=verify-full, or security.allow_plaintext: true to try things out");
    }
    return absl::OkStatus();
  }

  absl::Status CheckSecurity() const {
    const Security& security = config_.security;
    const std::vector<std::pair<const char*, const std::string*>> files = {
        {"security.certificate", &security.certificate},
        {"security.key", &security.key},
        {"security.ca", &security.ca}};
    for (const auto& [set, value] : files) {
      if (value->empty()) continue;
      for (const auto& [name, other] : files) {
        if (other->empty()) return Wrong(name, absl::StrCat("set, as ", set, " is"));
      }
    }
    return absl::OkStatus();
  }

  const Config& config_;
  const Sources& sources_;
};

}  // namespace

absl::Status ValidateFrom(const Config& config, const Sources& sources) {
  return Rules(config, sources).Check();
}

absl::Status Validate(const Config& config) { return ValidateFrom(config, {}); }

absl::Status CheckComplete(const Config& config) {
  if (config.model.path.empty()) {
    return InputError("model.path", "is not set", "a folder in Hugging Face layout is needed");
  }
  for (const TrainingSet& set : TrainingSets(config)) {
    if (!set.path.empty()) continue;
    return InputError(set.from_step == 0
                          ? "data.train"
                          : absl::StrCat("data.train of the stage from step ", set.from_step),
                      "is not set", "a file of problems (JSON Lines) is needed");
  }
  return absl::OkStatus();
}

}  // namespace attnrl::config
