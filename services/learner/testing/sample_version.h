// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// W(3) of two tensors, 14 bytes in chunks of 5. For tests.
inline VersionData SampleVersion() {
  VersionData data;
  data.tensors = {{.name = "a", .dtype = "F32", .shape = {2}, .offset = 0, .size = 8},
                  {.name = "b", .dtype = "BF16", .shape = {1, 3}, .offset = 8, .size = 6}};
  data.bytes = WeightBytes("01234567abcdef");
  data.chunk_bytes = 5;
  data.version.number = 3;
  Seal(&data);
  return data;
}

}  // namespace attnrl::learner
