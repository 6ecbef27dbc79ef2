// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/sampling_flags.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/temperature.h"

namespace attnrl::tools {
namespace {

absl::Status CheckRange(const char* flag, int64_t value, int64_t low) {
  if (value >= low && value <= std::numeric_limits<int32_t>::max()) return absl::OkStatus();
  return InputError(flag, absl::StrCat(value), absl::StrCat("at least ", low));
}

}  // namespace

void AddSamplingFlags(Command& command, SamplingFlags* flags) {
  command.Add("--samples", &flags->samples, "Responses for each prompt");
  command.Add("--max-new-tokens", &flags->max_new_tokens,
              "Maximum length of a response in tokens (default: what the model's context leaves)");
  command.Add("--temperature", &flags->temperature, "Sampling temperature; 0 is greedy");
  command.Add("--top-p", &flags->top_p, "Nucleus sampling (top-p); 1 is off");
  command.Add("--top-k", &flags->top_k,
              "Sample from this many most likely tokens (top-k); 0 is off");
  command.Add("--seed", &flags->seed, "Seed; the same seed gives the same tokens");
  command.Add("--max-batch", &flags->max_batch, "Sequences decoded at once");
}

absl::Status CheckSamplingFlags(const SamplingFlags& flags) {
  ATTNRL_RETURN_IF_ERROR(CheckRange("--samples", flags.samples, 1));
  ATTNRL_RETURN_IF_ERROR(CheckRange("--max-new-tokens", flags.max_new_tokens, 0));
  ATTNRL_RETURN_IF_ERROR(CheckRange("--top-k", flags.top_k, 0));
  ATTNRL_RETURN_IF_ERROR(CheckRange("--max-batch", flags.max_batch, 1));
  if (!IsTemperature(flags.temperature)) {
    return InputError("--temperature", absl::StrCat(flags.temperature),
                      absl::StrCat("0, or at least ", kLeastTemperature));
  }
  if (!(flags.top_p > 0 && flags.top_p <= 1)) {
    return InputError("--top-p", absl::StrCat(flags.top_p), "more than 0, at most 1");
  }
  return absl::OkStatus();
}

SamplingJob MakeJob(const SamplingFlags& flags) {
  SamplingJob job;
  job.samples = flags.samples;
  job.max_new_tokens = flags.max_new_tokens;
  job.sampling = {flags.temperature, flags.top_p, flags.top_k};
  job.seed = flags.seed;
  job.max_batch = flags.max_batch;
  return job;
}

}  // namespace attnrl::tools
