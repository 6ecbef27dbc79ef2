// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::tools {

// Says of the responses of a run that earned nothing how their answers and the accepted ones were
// read, and which rule told them apart. Records don't hold accepted answers; they are looked up in
// the data set of the run's configuration, and graded again.
class Explanations {
 public:
  // `binary_folder` holds attnrl-grader. InputError where the run's configuration can't be read.
  static absl::StatusOr<std::unique_ptr<Explanations>> Open(const std::string& run_directory,
                                                            const std::string& binary_folder);
  virtual ~Explanations() = default;

  // Adds the text "explanation" to every response and continuation of a record of trees/ that was
  // graded and is not right. Does nothing where the data set has no such problem any more.
  virtual absl::Status AddTo(
      nlohmann::json* problem,
      const std::function<std::string(const std::vector<int32_t>&)>& decode) = 0;
};

}  // namespace attnrl::tools
