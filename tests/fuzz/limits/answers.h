// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/philox.h"

namespace attnrl::fuzz {

// An answer with what it is compared with.
struct Costly {
  std::string answer;
  std::string accepted;
};

// An answer that tries to cost more than limits count: deep nesting of everything that nests, long
// sums, lists and matrices, factorials, powers of powers, functions of functions, long numbers, and
// all of these within each other. At most some 60 KiB; braces are balanced.
Costly MakeCostly(RandomStream& random);

}  // namespace attnrl::fuzz
