// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/weights_digest.h"

#include "absl/strings/str_join.h"

namespace attnrl::model {

void WeightsDigest::Add(std::string_view name, std::string_view dtype,
                        std::span<const int64_t> shape, std::string_view bytes) {
  const std::string sizes = absl::StrJoin(shape, ",");
  for (const std::string_view field : {name, dtype, std::string_view(sizes)}) {
    hash_.Update(field);
    hash_.Update(std::string_view("\0", 1));
  }
  hash_.Update(bytes);
}

std::string WeightsDigest::Hex() { return hash_.HexDigest(); }

}  // namespace attnrl::model
