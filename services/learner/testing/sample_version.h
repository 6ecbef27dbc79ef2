// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// W(3) of two tensors, 14 bytes. For tests.
inline VersionData SampleVersion() {
  VersionData data;
  data.tensors = {{.name = "a", .dtype = "F32", .shape = {2}, .offset = 0, .size = 8},
                  {.name = "b", .dtype = "BF16", .shape = {1, 3}, .offset = 8, .size = 6}};
  data.bytes = "01234567abcdef";
  data.version = {3, VersionDigest(data)};
  return data;
}

}  // namespace attnrl::learner
