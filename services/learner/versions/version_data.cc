// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_data.h"

#include "common/model/files/weights_digest.h"

namespace attnrl::learner {

std::string VersionDigest(const VersionData& data) {
  model::WeightsDigest digest;
  for (const TensorEntry& tensor : data.tensors) {
    digest.Add(tensor.name, tensor.dtype, tensor.shape, data.Bytes(tensor));
  }
  return digest.Hex();
}

}  // namespace attnrl::learner
