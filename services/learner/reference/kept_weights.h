// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/files/weights.h"

namespace attnrl::learner {

// The tensors of a model that nobody changes, kept where training has no use for the room: one
// block on the host, or a file. Those of a layer come to the device for the time that they are
// used. Immutable; one thread.
class KeptWeights {
 public:
  // In the host's memory, from which their device reads without its help.
  static std::unique_ptr<KeptWeights> OnHost(const model::Tensors& weights);
  // In a file of `folder` without a name, which goes with the object or the process. An error that
  // names the folder, with the codes of common/storage/files.h.
  static absl::StatusOr<std::unique_ptr<KeptWeights>> OnDisk(const model::Tensors& weights,
                                                             const std::string& folder);

  // The tensors whose names begin with `prefix`, in the dtype and on the device that they had: on
  // the host views of the block, which outlives them; elsewhere a copy for which the host doesn't
  // wait.
  model::Tensors Bring(const std::string& prefix) const;
  // Whatever of the file is in this process's memory leaves it, until it is read again.
  void Drop() const;

  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }

 private:
  struct Place {
    int64_t offset;  // bytes
    int64_t bytes;
    std::vector<int64_t> shape;
  };

  explicit KeptWeights(const model::Tensors& weights);
  int64_t size() const;

  const at::Device device_;
  const at::ScalarType dtype_;
  std::map<std::string, Place> places_;
  at::Tensor block_;  // bytes; of a file its pages
  bool on_disk_ = false;
};

}  // namespace attnrl::learner
