// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/admission/admission.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::scheduler {
namespace {

// Seconds since the epoch; the latest is some thousand years away.
constexpr double kLatest = 1e11;
constexpr size_t kMaxName = 200;
// Of sums that only statistics use.
constexpr uint64_t kMaxTokens = uint64_t{1} << 40;

absl::Status CheckSpan(const std::string& where, const Span& span) {
  // Written so that a NaN fails.
  if (span.start >= 0 && span.start <= span.end && span.end <= kLatest) return absl::OkStatus();
  return InputError(where, absl::StrCat("lasts from ", span.start, " to ", span.end),
                    "finite seconds since the epoch, the start not behind the end");
}

// The first number that `good` refuses.
template <typename Good>
absl::Status CheckEach(const std::string& where, const char* what,
                       const std::vector<float>& numbers, std::string_view allowed, Good good) {
  const auto bad = std::find_if_not(numbers.begin(), numbers.end(), good);
  if (bad == numbers.end()) return absl::OkStatus();
  return InputError(absl::StrCat(where, ", ", what, " ", bad - numbers.begin()), absl::StrCat(*bad),
                    allowed);
}

absl::Status CheckTokens(const std::string& where, const SampleRequest& request,
                         const SampleResult& sample, int64_t vocabulary) {
  const size_t tokens = sample.token_ids.size();
  if (tokens == 0 || tokens > request.max_new_tokens) {
    return InputError(where, absl::StrCat(tokens, " tokens"),
                      absl::StrCat("1 to ", request.max_new_tokens, " were asked for"));
  }
  for (size_t i = 0; i < tokens; ++i) {
    const int32_t id = sample.token_ids[i];
    if (id >= 0 && id < vocabulary) continue;
    return InputError(absl::StrCat(where, ", token ", i), absl::StrCat("id ", id),
                      absl::StrCat("0 to ", vocabulary - 1, " is allowed"));
  }
  if (sample.logprobs.size() != tokens || sample.entropy.size() != tokens) {
    return InputError(where,
                      absl::StrCat(sample.logprobs.size(), " log-probs and ", sample.entropy.size(),
                                   " entropies for ", tokens, " tokens"),
                      "one of each a token");
  }
  ATTNRL_RETURN_IF_ERROR(
      CheckEach(where, "log-prob", sample.logprobs, "a finite number, at most 0",
                [](float value) { return std::isfinite(value) && value <= kRounding; }));
  return CheckEach(where, "entropy", sample.entropy, "a finite number, at least 0",
                   [](float value) { return std::isfinite(value) && value >= -kRounding; });
}

// Why it ended: by one of the item's stop tokens, or not.
absl::Status CheckFinish(const std::string& where, const SamplingParams& sampling,
                         const SampleRequest& request, const SampleResult& sample) {
  const int32_t last = sample.token_ids.back();
  const bool stops = std::find(sampling.stop_ids.begin(), sampling.stop_ids.end(), last) !=
                     sampling.stop_ids.end();
  const bool limited = sample.finish == FinishReason::kLength;
  if (limited && sample.token_ids.size() < request.max_new_tokens) {
    return InputError(where,
                      absl::StrCat("ended by its limit with ", sample.token_ids.size(), " tokens"),
                      absl::StrCat("the limit is ", request.max_new_tokens));
  }
  if (stops != limited) return absl::OkStatus();
  return InputError(
      where, absl::StrCat("ended by ", stops ? "its limit" : "a stop token", " behind id ", last),
      stops ? "this id is a stop token" : "this id is no stop token");
}

// The scores fit the item, and its steps are those that this process sees in the tokens.
absl::Status CheckScores(const std::string& where, const WorkItem& item, const SampleResult& sample,
                         const TextTools& text) {
  if (!item.score_delta) {
    if (sample.steps.empty() && sample.fci.empty()) return absl::OkStatus();
    return InputError(where, absl::StrCat(sample.fci.size(), " scores"), "none were asked for");
  }
  const auto prompt_tokens = static_cast<uint32_t>(item.prompt_ids.size());
  if (sample.steps != text.steps(prompt_tokens, sample.token_ids)) {
    return InputError(where, absl::StrCat(sample.steps.size(), " steps"),
                      "those of its tokens; has the worker another tokenizer?");
  }
  if (sample.fci.size() != sample.steps.size()) {
    return InputError(where, absl::StrCat(sample.fci.size(), " scores"),
                      absl::StrCat("one for each of ", sample.steps.size(), " steps"));
  }
  return CheckEach(where, "score", sample.fci, "a finite number, at least 0",
                   [](float value) { return std::isfinite(value) && value >= 0; });
}

absl::Status CheckResult(const ItemResult& result, const WorkItem& item, int64_t vocabulary,
                         const TextTools& text) {
  const std::string where = absl::StrCat("item ", Number(item.item));
  if (result.version != item.version) {
    return InputError(where, absl::StrCat("sampled under W(", result.version.number, ")"),
                      absl::StrCat("W(", item.version.number, ") of digest ",
                                   OneLine(item.version.digest.substr(0, 12))));
  }
  if (result.samples.size() != item.samples.size()) {
    return InputError(where, absl::StrCat(result.samples.size(), " samples"),
                      absl::StrCat(item.samples.size(), " were asked for"));
  }
  ATTNRL_RETURN_IF_ERROR(CheckSpan(absl::StrCat(where, ", span"), result.span));
  if (result.prefill_tokens > kMaxTokens || result.reused_tokens > kMaxTokens) {
    return InputError(
        where,
        absl::StrCat(result.prefill_tokens, " tokens computed, ", result.reused_tokens, " reused"),
        absl::StrCat("at most ", kMaxTokens));
  }
  for (size_t i = 0; i < item.samples.size(); ++i) {
    const SampleRequest& request = item.samples[i];
    const SampleResult& sample = result.samples[i];
    const std::string node = absl::StrCat(where, ", node ", request.node);
    if (sample.node != request.node) {
      return InputError(node, absl::StrCat("node ", sample.node, " in its place"),
                        "the nodes in the order in which they were asked for");
    }
    ATTNRL_RETURN_IF_ERROR(CheckTokens(node, request, sample, vocabulary));
    ATTNRL_RETURN_IF_ERROR(CheckFinish(node, item.sampling, request, sample));
    ATTNRL_RETURN_IF_ERROR(CheckScores(node, item, sample, text));
  }
  return absl::OkStatus();
}

absl::Status CheckCount(std::string_view where, size_t leases) {
  if (leases <= kMaxNamedLeases) return absl::OkStatus();
  return InputError(where, absl::StrCat(leases, " leases"),
                    absl::StrCat("at most ", kMaxNamedLeases));
}

// Names go to logs, records and terminals.
absl::Status CheckName(std::string_view where, std::string_view name) {
  const bool plain = std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (plain && name.size() <= kMaxName) return absl::OkStatus();
  return InputError(where, absl::StrCat("'", OneLine(name, 60), "'"),
                    absl::StrCat("at most ", kMaxName, " bytes without control characters"));
}

struct MessageChecker {
  absl::Status operator()(const Register& hello) const {
    if (hello.worker.empty()) {
      return InputError("register", "the worker has no name", "a unique one is needed");
    }
    ATTNRL_RETURN_IF_ERROR(CheckName("register: worker", hello.worker));
    ATTNRL_RETURN_IF_ERROR(CheckName("register: numerics_id", hello.numerics_id));
    return CheckCount("register: held", hello.held.size());
  }
  absl::Status operator()(const ItemResult&) const { return absl::OkStatus(); }
  absl::Status operator()(const Renew& renew) const {
    ATTNRL_RETURN_IF_ERROR(CheckCount("renew", renew.leases.size()));
    if (renew.tokens.empty() || renew.tokens.size() == renew.leases.size()) {
      return absl::OkStatus();
    }
    return InputError("renew", absl::StrCat(renew.tokens.size(), " numbers of tokens"),
                      absl::StrCat("none, or one for each of ", renew.leases.size(), " leases"));
  }
  absl::Status operator()(const GiveBack& back) const {
    return CheckCount("give_back", back.leases.size());
  }
  absl::Status operator()(const Credits&) const { return absl::OkStatus(); }
};

// NaN, or within the range.
absl::Status CheckMean(const char* name, double value, double low, double high) {
  if (std::isnan(value) || (value >= low && value <= high)) return absl::OkStatus();
  return InputError(absl::StrCat("statistics.", name), absl::StrCat(value),
                    std::isinf(high) ? absl::StrCat("at least ", low, ", or NaN")
                                     : absl::StrCat(low, " to ", high, ", or NaN"));
}

}  // namespace

absl::StatusOr<AdmittedResult> AdmitResult(ItemResult result, const WorkItem& item,
                                           int64_t vocabulary, const TextTools& text) {
  ATTNRL_RETURN_IF_ERROR(CheckResult(result, item, vocabulary, text));
  return AdmittedResult(std::move(result));
}

absl::Status CheckMessage(const WorkerMessage& message) {
  return std::visit(MessageChecker{}, message);
}

absl::Status CheckStatistics(const TrainStatistics& statistics) {
  const auto check = [](const char* name, const std::optional<Span>& span) {
    return span ? CheckSpan(absl::StrCat("statistics.", name), *span) : absl::OkStatus();
  };
  ATTNRL_RETURN_IF_ERROR(check("train", statistics.train));
  ATTNRL_RETURN_IF_ERROR(check("sync", statistics.sync));
  ATTNRL_RETURN_IF_ERROR(check("checkpoint", statistics.checkpoint));
  for (const auto& [name, value] : {std::pair{"learning_rate", statistics.learning_rate},
                                    std::pair{"wait_seconds", statistics.wait_seconds}}) {
    if (std::isfinite(value) && value >= 0) continue;
    return InputError(absl::StrCat("statistics.", name), absl::StrCat(value),
                      "a finite number, at least 0");
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ATTNRL_RETURN_IF_ERROR(CheckMean("ratio_max", statistics.ratio_max, 0, kInfinity));
  ATTNRL_RETURN_IF_ERROR(CheckMean("importance_mean", statistics.importance_mean, 0, kInfinity));
  ATTNRL_RETURN_IF_ERROR(CheckMean("importance_max", statistics.importance_max, 0, kInfinity));
  ATTNRL_RETURN_IF_ERROR(CheckMean("importance_truncated", statistics.importance_truncated, 0, 1));
  // A hair more than 1 where all weights are equal and rounded.
  ATTNRL_RETURN_IF_ERROR(CheckMean("effective_samples", statistics.effective_samples, 0, 1.001));
  ATTNRL_RETURN_IF_ERROR(CheckMean("grad_norm", statistics.grad_norm, 0, kInfinity));
  ATTNRL_RETURN_IF_ERROR(CheckMean("clip_low", statistics.clip_low, 0, 1));
  return CheckMean("clip_high", statistics.clip_high, 0, 1);
}

}  // namespace attnrl::scheduler
