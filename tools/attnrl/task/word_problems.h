// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tools/attnrl/task/task_generator.h"

namespace attnrl::tools {

// Arithmetic word problems for small chat models: somebody has a few things, one to three events
// change their number, and the prompt asks for it. Each event is one step of the worked response.
// A model of 135 M weights is just about able to learn to compute them.
//
//   prompt    Mia has 14 apples. She buys 3 bags with 6 apples each. ... How many apples does Mia
//             have now? Put the final answer in \boxed{}.
//   response  3 * 6 = 18, and 14 + 18 = 32. and a blank line, ..., The final answer is \boxed{25}.
//
// All numbers are whole, from 1 to kMostThings. The id is "words-eval-0-17".
inline constexpr int64_t kMostThings = 100;

// Problem `index` of the data set of (split, seed). Pure, as GenerateTask; the splits are kept
// apart in the same way.
TaskProblem GenerateWordProblem(TaskSplit split, uint64_t seed, uint32_t index);

}  // namespace attnrl::tools
