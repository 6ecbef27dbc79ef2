// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/request.h"

#include "absl/strings/str_cat.h"
#include "common/base/temperature.h"

namespace attnrl::rollout {

absl::Status CheckRequest(const Request& request, int64_t max_tokens, int64_t vocabulary) {
  const auto refuse = [](const auto&... words) {
    return absl::InvalidArgumentError(absl::StrCat(words...));
  };
  const SamplingParams& sampling = request.sampling;
  if (request.prompt_ids.empty()) return refuse("the prompt has no token; at least 1 is allowed");
  if (request.max_new_tokens < 1) {
    return refuse("max_new_tokens is ", request.max_new_tokens, "; at least 1 is allowed");
  }
  const int64_t tokens = static_cast<int64_t>(request.prompt_ids.size()) + request.max_new_tokens;
  if (tokens > max_tokens) {
    return refuse("a sequence of up to ", tokens, " tokens; at most ", max_tokens, " are allowed");
  }
  for (const int32_t id : request.prompt_ids) {
    if (id >= 0 && id < vocabulary) continue;
    return refuse("token id ", id, "; the model has ids from 0 to ", vocabulary - 1);
  }
  if (!IsTemperature(sampling.temperature)) {
    return refuse("the temperature is ", sampling.temperature, "; 0 or at least ",
                  kLeastTemperature, " is allowed");
  }
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    return refuse("top-p is ", sampling.top_p, "; more than 0 and at most 1 is allowed");
  }
  if (sampling.top_k < 0) return refuse("top-k is ", sampling.top_k, "; at least 0 is allowed");
  return absl::OkStatus();
}

}  // namespace attnrl::rollout
