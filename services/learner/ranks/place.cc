// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/place.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::learner {
namespace {

constexpr int kMostRanks = 1024;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// `why`: behind what is allowed.
absl::StatusOr<int> Number(const char* name, int least, int most, const std::string& why = "") {
  const std::string text = Variable(name);
  int number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < least || number > most) {
    return InputError(name, text.empty() ? "not set" : absl::StrCat("is \"", text, "\""),
                      absl::StrCat("a whole number from ", least, " to ", most, why));
  }
  return number;
}

}  // namespace

bool IsLoopback(const std::string& address) {
  return address == "localhost" || address == "127.0.0.1";
}

absl::StatusOr<RankPlace> ReadRankPlace(int64_t ranks, bool allow_plaintext) {
  RankPlace place;
  if (Variable("WORLD_SIZE").empty()) {
    if (ranks == 1) return place;
    return InputError("learner.ranks", absl::StrCat("is ", ranks, ", but WORLD_SIZE is not set"),
                      "RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment of every "
                      "rank, or 1");
  }
  ATTNRL_ASSIGN_OR_RETURN(place.size, Number("WORLD_SIZE", 1, kMostRanks));
  if (ranks != 1 && ranks != place.size) {
    return InputError("WORLD_SIZE", absl::StrCat("is ", place.size),
                      absl::StrCat(ranks, ", as learner.ranks says"));
  }
  if (place.alone()) return place;
  const std::string why = absl::StrCat(", since WORLD_SIZE is ", place.size);
  ATTNRL_ASSIGN_OR_RETURN(place.rank, Number("RANK", 0, place.size - 1, why));
  ATTNRL_ASSIGN_OR_RETURN(place.port, Number("MASTER_PORT", 1, 65535, why));
  place.agent = Variable("TORCHELASTIC_USE_AGENT_STORE") == "True";
  place.address = Variable("MASTER_ADDR");
  if (place.address.empty()) {
    return InputError("MASTER_ADDR", "not set", "the host of rank 0" + why);
  }
  if (!IsLoopback(place.address) && !allow_plaintext) {
    return InputError("MASTER_ADDR", absl::StrCat("is ", place.address),
                      "localhost or 127.0.0.1 (torchrun --local-addr 127.0.0.1), or "
                      "security.allow_plaintext: true, since ranks talk without encryption");
  }
  return place;
}

}  // namespace attnrl::learner
