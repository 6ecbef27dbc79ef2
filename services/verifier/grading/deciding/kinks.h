// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "services/verifier/grading/deciding/ball.h"
#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// Further places for two expressions that agree at the points, where a piece of one of them could
// be all that was seen: "12 - 2x" agrees with "|x-5| + |x-7|" up to 5. They lie beyond the points,
// and between the kinks that are found: zeros of what absolute values, even roots and so on are
// taken of. None where neither has a kink. Costs at most a part of what is left of `work`.
std::vector<Place> PlacesBetweenKinks(const Expression& a, const Expression& b,
                                      const Variables& variables, Work& work);

}  // namespace attnrl::verifier
