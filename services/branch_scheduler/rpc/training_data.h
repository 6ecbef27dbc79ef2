// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/config/config.h"
#include "services/branch_scheduler/data_set.h"
#include "services/verifier/client/verifier_client.h"

namespace attnrl::scheduler {

// The data sets of a run's stages (`data.train`). A file that several stages name is read and
// graded once.
class TrainingData {
 public:
  // Reads all files. Errors as LoadDataSet says.
  static absl::StatusOr<TrainingData> Load(const config::Config& config,
                                           const PromptEncoder& encode);

  // Of the file that the run begins with.
  const std::string& first_digest() const { return files_.at(uses_[0].path).digest; }

  // Leaves out what no response can match, and logs it (LeaveOutUnreadable, with its arguments and
  // errors).
  absl::Status LeaveOutUnreadable(const std::string& grader, verifier::VerifierClient& verifier,
                                  const std::function<bool(absl::Duration)>& stop);

  // What a run that is resumed must find again, by stage: the digests of files other than the
  // first, and of what was left out.
  void AddTo(std::map<std::string, std::string>& fingerprint) const;

  // One part a stage.
  DataSet Join() &&;

 private:
  std::vector<config::TrainingSet> uses_;
  std::map<std::string, DataSet> files_;         // by path
  std::map<std::string, std::string> left_out_;  // digest by path, once that was asked for
};

}  // namespace attnrl::scheduler
