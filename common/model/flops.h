// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/model/files/config.h"

namespace attnrl::model {

// What a forward pass computes.
struct ForwardWork {
  int64_t rows = 0;        // tokens that go through the layers
  int64_t attended = 0;    // keys that their queries see, over all rows: p + 1 at position p
  int64_t logit_rows = 0;  // rows that the head is applied to
};

// Floating-point operations that the model asks for there, a multiply-add counting as two: the
// products with its matrices, and those of queries with keys and of weights with values. Norms,
// biases, rotation and softmax are left out, and so is whatever an implementation does beyond it:
// masked or padded attention, layers that are computed again on the way back. What it spares is
// counted: rows that the last layer need not compute behind its attention. The way back asks for
// twice as many (Chowdhery et al., "PaLM", appendix B, with the attention that is seen in place of
// the whole square).
double ForwardFlops(const ModelConfig& config, const ForwardWork& work);

}  // namespace attnrl::model
