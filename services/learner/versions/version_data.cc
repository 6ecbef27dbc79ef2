// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_data.h"

#include "absl/strings/str_join.h"
#include "common/storage/digest.h"

namespace attnrl::learner {

std::string VersionDigest(const VersionData& data) {
  storage::Sha256 hash;
  for (const TensorEntry& tensor : data.tensors) {
    // c_str() ends with the NUL that separates the fields.
    const std::string shape = absl::StrJoin(tensor.shape, ",");
    for (const std::string* field : {&tensor.name, &tensor.dtype, &shape}) {
      hash.Update(std::string_view(field->c_str(), field->size() + 1));
    }
    hash.Update(data.Bytes(tensor));
  }
  return hash.HexDigest();
}

}  // namespace attnrl::learner
