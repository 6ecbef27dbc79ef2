// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/key.h"

namespace attnrl::config {
namespace {

// Assigns what the other key of a pair has to be.
using Follow = void (*)(Config* config);

struct Pair {
  const char* key;
  const char* other;
  Follow other_follows;
  Follow key_follows;
};

constexpr Pair kPairs[] = {
    {"algorithm.sampling.expand", "algorithm.sampling.difficulty_expansion",
     [](Config* config) {
       Sampling& sampling = config->algorithm.sampling;
       sampling.difficulty_expansion = sampling.expand == tree::Expand::kDifficulty;
     },
     [](Config* config) {
       Sampling& sampling = config->algorithm.sampling;
       if (sampling.difficulty_expansion) {
         sampling.expand = tree::Expand::kDifficulty;
       } else if (sampling.expand == tree::Expand::kDifficulty) {
         sampling.expand = tree::Expand::kAll;
       }
     }},
    {"learner.overlong", "learner.mask_truncated",
     [](Config* config) {
       config->learner.mask_truncated = config->learner.overlong == Overlong::kMask;
     },
     [](Config* config) {
       Learner& learner = config->learner;
       if (learner.mask_truncated) {
         learner.overlong = Overlong::kMask;
       } else if (learner.overlong == Overlong::kMask) {
         learner.overlong = Overlong::kNone;
       }
     }},
    {"learner.steps_per_batch", "learner.minibatch_problems",
     [](Config* config) {
       Learner& learner = config->learner;
       if (learner.steps_per_batch > 0) learner.minibatch_problems = 0;
     },
     [](Config* config) {
       Learner& learner = config->learner;
       if (learner.minibatch_problems > 0) learner.steps_per_batch = 0;
     }},
};

// Where it was named last; empty: nowhere.
std::string Named(const std::vector<Assignment>& assignments, const std::string& key) {
  const auto found = std::find_if(assignments.rbegin(), assignments.rend(),
                                  [&](const Assignment& each) { return each.key->name() == key; });
  return found == assignments.rend() ? "" : found->where;
}

}  // namespace

void FollowPairs(const std::vector<Assignment>& assignments, Config* config, Sources* sources) {
  for (const Pair& pair : kPairs) {
    const std::string key = Named(assignments, pair.key);
    const std::string other = Named(assignments, pair.other);
    if (key.empty() == other.empty()) continue;
    (key.empty() ? pair.key_follows : pair.other_follows)(config);
    (*sources)[key.empty() ? pair.key : pair.other] = key.empty() ? other : key;
  }
}

}  // namespace attnrl::config
