// SPDX-License-Identifier: Apache-2.0
// What each section of the configuration is about.
#include <string>
#include <utility>
#include <vector>

#include "common/config/key.h"

namespace attnrl::config {

const std::vector<std::pair<std::string, std::string>>& Sections() {
  static const auto* sections = new std::vector<std::pair<std::string, std::string>>{
      {"run", "The run as a whole"},
      {"model", "The model to train"},
      {"data", "Problems and their accepted answers"},
      {"data.fields", "What a data set calls its fields, where that is not recognised"},
      {"algorithm", "What is sampled and how it is rewarded"},
      {"algorithm.branching", "Where responses branch"},
      {"algorithm.sampling", "What goes into a batch"},
      {"pipeline", "How sampling and training overlap"},
      {"rollout", "Sampling by the rollout workers"},
      {"scheduler", "The branch-scheduler, which owns the run's state"},
      {"verifier", "Grading of responses"},
      {"learner", "Training"},
      {"learner.lora", "Low-rank adapters in place of the weights"},
      {"security", "Connections between machines"},
      {"observe", "Logs and metrics"}};
  return *sections;
}

}  // namespace attnrl::config
