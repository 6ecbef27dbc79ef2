// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/attention/attention.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"

namespace attnrl::learner {

// Where the reference model lies between passes: with the weights in training, or, one layer coming
// after the other while it is needed, in the host's memory or in a file.
enum class ReferencePlace { kDevice, kHost, kDisk };

struct ReferenceOptions {
  ReferencePlace place = ReferencePlace::kDevice;
  std::string folder = {};  // of the file
};

// What MakeReference throws where a file can't be written: the status, in whose message the folder
// is named.
class ReferenceError : public std::runtime_error {
 public:
  explicit ReferenceError(absl::Status status)
      : std::runtime_error(std::string(status.message())), status_(std::move(status)) {}
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

// Rows of the head that are laid out at once on the CPU, where the reference lies elsewhere.
inline constexpr int64_t kHeadRows = 2048;

// The model that a KL term pulls to, which nobody changes. The same bits wherever it lies. One
// thread, which wants no gradients (at::NoGradGuard); what LibTorch throws passes through.
class Reference {
 public:
  virtual ~Reference() = default;

  virtual const model::ModelConfig& config() const = 0;
  virtual at::ScalarType dtype() const = 0;
  // The states after the final norm, with the arguments of model::Transformer::Hidden.
  virtual at::Tensor Hidden(const at::Tensor& ids, const at::Tensor& positions,
                            attention::Attention& attention, const at::Tensor& wanted) const = 0;
  // From such states [n, hidden] to logits, float32 [n, vocabulary]; may hold the head's weight for
  // as long as it lives, which is not longer than the reference.
  using Logits = std::function<at::Tensor(const at::Tensor& hidden)>;
  virtual Logits MakeLogits() const = 0;
};

// `weights` as of LoadTensors, in the dtype and on the device to compute with, none of which
// requires a gradient. Throws ReferenceError.
std::unique_ptr<const Reference> MakeReference(const model::ModelConfig& config,
                                               model::Tensors weights,
                                               const ReferenceOptions& options);

}  // namespace attnrl::learner
