// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// `expression` with sums and products of matrices, multiples of them, small powers and transposes
// worked out, so that it is a matrix of its entries. What has no value (other shapes, an inverse,
// a name that may be a matrix itself) stays as it is. Determinants ("vmatrix") are no matrices.
Expression WithMatricesWorkedOut(Expression expression, Work& work);

}  // namespace attnrl::verifier
